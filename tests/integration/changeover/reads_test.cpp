// Reads go to modern while legacy is in charge, and nobody notices.
#include "tests/integration/changeover/reads.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;

TEST_F(reads, go_to_modern_and_writes_to_legacy) {
    const auto client = connect();
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(extended(client, "SELECT name FROM side WHERE $1 = 1", {"1"}), "modern");
    EXPECT_EQ(run(client, "SELECT 1"), "1");
    EXPECT_EQ(run(client, "SELECT current_database()"), "app");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "UPDATE accounts SET balance = 7 WHERE id = 1"), "");
    is_fresh();
    EXPECT_EQ(run(client, "SELECT balance FROM accounts WHERE id = 1"), "0") << "which modern never got";
    EXPECT_EQ(count("legacy", "accounts WHERE balance = 7"), "1");
    EXPECT_EQ(count("modern", "accounts WHERE balance = 7"), "0");
    legacy_->exec("UPDATE accounts SET balance = 0", "app");
    EXPECT_EQ(detours(), 1) << "all others are switches that ask nobody";
    EXPECT_GE(front_->metric("crossfade_read_switches_total"), 4);
    EXPECT_EQ(read_at("modern"), 4);
}

TEST_F(reads, stay_where_they_must) {
    const auto client = connect();
    EXPECT_EQ(where(client), "modern");
    for (const auto* sql :
         {"SELECT name FROM side FOR UPDATE", "SELECT name FROM side FOR SHARE",
          "SELECT name FROM side WHERE enter('x') = 'x'", "SELECT name FROM side WHERE ctid IS NOT NULL",
          "SELECT name FROM side WHERE pg_backend_pid() > 0", "SELECT name FROM side WHERE random() >= 0",
          "SELECT CASE WHEN current_database() = 'app' THEN 'legacy' END", "BEGIN; SELECT name FROM side; COMMIT",
          "WITH w AS (DELETE FROM accounts WHERE false RETURNING 1) SELECT name FROM side",
          "SELECT CASE count(*) WHEN 0 THEN 'legacy' END FROM pg_database WHERE datname = 'app_modern'"}) {
        is_fresh();
        auto got = run(client, sql);
        EXPECT_EQ(got.empty() ? "legacy" : got, "legacy") << sql;
    }
    EXPECT_EQ(run(client, "BEGIN"), "");
    EXPECT_EQ(where(client), "legacy") << "as the transaction may write";
    EXPECT_EQ(run(client, "COMMIT"), "");
    is_fresh();
    EXPECT_EQ(where(client), "modern");
}

TEST_F(reads, stay_where_transactions_are_serializable) {
    const auto client = connect();
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "SET default_transaction_isolation = 'serializable'"), "");
    is_fresh();
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(fallbacks("session"), 1);
    legacy_->exec("ALTER ROLE crossfade SET default_transaction_isolation = 'serializable'", "app");
    const auto by_role = connect();
    legacy_->exec("ALTER ROLE crossfade RESET default_transaction_isolation", "app");
    EXPECT_EQ(where(by_role), "legacy");
    const auto begins = connect("options='-c default_transaction_isolation=serializable'");
    EXPECT_EQ(run(begins, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(begins), "legacy");
    EXPECT_EQ(run(begins, "COMMIT"), "");
    const auto another = connect();
    EXPECT_EQ(run(another, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(another), "modern");
    EXPECT_EQ(run(another, "SET default_transaction_isolation = 'serializable'"), "");
    EXPECT_EQ(where(another), "legacy") << "it began anew";
    EXPECT_EQ(run(another, "COMMIT"), "");
    is_fresh();
    EXPECT_EQ(where(another), "legacy");
}

TEST_F(reads, fall_back_for_each_reason) {
    const auto client = connect();
    auto& view = front_->view();
    is_late();
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(fallbacks("lag"), 1);
    view.set_fresh_to(std::nullopt);
    EXPECT_EQ(where(client), "legacy") << "nobody knows";
    EXPECT_EQ(fallbacks("lag"), 2);
    is_fresh();
    EXPECT_EQ(where(client), "modern");
    view.set_there(false);
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(fallbacks("away"), 1);
    view.set_there(true);
    view.set_tables({{"public.side", 0.25}, {"public.accounts", 0}});
    is_fresh();
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(fallbacks("drift"), 1);
    EXPECT_EQ(run(client, "SELECT count(*) FROM accounts"), "100") << "which has none";
    EXPECT_EQ(fallbacks("drift"), 1);
    view.set_tables({{"public.accounts", 0}});
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(fallbacks("not_ready"), 1);
    view.set_tables({{"public.side", 0}});
    is_fresh();
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "UPDATE side SET name = name"), "");
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(fallbacks("own_writes"), 1);
    EXPECT_TRUE(view.wanted()) << "so that it comes sooner";
    is_fresh();
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "CREATE TEMP TABLE mine (x int)"), "");
    is_fresh();
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(fallbacks("session"), 1);
}

TEST_F(reads, heed_neither_lag_nor_drift_under_modern) {
    begin("modern");
    const auto client = connect();
    front_->view().set_tables({{"public.side", 0.25}});
    is_late();
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "UPDATE side SET name = name"), "");
    EXPECT_EQ(where(client), "legacy") << "its own writes are its own";
    front_->view().set_there(false);
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(fallbacks("away"), 1);
}

TEST_F(reads, stay_on_legacy_by_default) {
    begin("legacy");
    const auto client = connect();
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(read_at("legacy"), 0) << "nothing is looked at";
    // With a reload, at the next statement.
    front_->read_by(settings::read_strategy::prefer_modern);
    is_fresh();
    EXPECT_EQ(where(client), "modern");
    front_->read_by(settings::read_strategy::legacy);
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(run(client, "UPDATE side SET name = name"), "");
    front_->read_by(settings::read_strategy::modern);
    is_fresh();
    EXPECT_EQ(where(client), "modern");
}

TEST_F(reads, of_what_was_prepared) {
    const auto client = connect();
    prepare(client, "where", "SELECT name FROM side");
    prepare(client, "change", "UPDATE accounts SET balance = balance");
    for (int round = 0; round < 3; ++round) {
        is_fresh();
        EXPECT_EQ(prepared(client, "where"), "modern");
        EXPECT_EQ(prepared(client, "where"), "modern");
        EXPECT_EQ(prepared(client, "change"), "");
        EXPECT_EQ(prepared(client, "where"), "legacy");
    }
    EXPECT_EQ(detours(), 1);
    prepare(client, "again", "SELECT name FROM side");
    is_fresh();
    EXPECT_EQ(prepared(client, "again"), "modern");
    EXPECT_EQ(detours(), 2) << "which modern had to be told";
    EXPECT_EQ(run(client, "DEALLOCATE again"), "");
    is_fresh();
    EXPECT_EQ(prepared(client, "again"), "26000");
}

TEST_F(reads, of_what_was_prepared_before_they_went_anywhere) {
    begin("legacy");
    const auto client = connect();
    prepare(client, "where", "SELECT name FROM side");
    front_->read_by(settings::read_strategy::prefer_modern);
    is_fresh();
    EXPECT_EQ(prepared(client, "where"), "modern");
}

TEST_F(reads, find_the_session_as_it_is) {
    const auto client = connect();
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "SET app.who = 'ann'; SET search_path = pg_temp, public"), "");
    is_fresh();
    EXPECT_EQ(run(client, "SELECT name || current_setting('app.who') FROM side"), "modernann");
    EXPECT_EQ(run(client, "SHOW search_path"), "pg_temp, public");
    EXPECT_EQ(run(client, "SHOW default_transaction_read_only"), "off");
    EXPECT_STREQ(PQparameterStatus(client.get(), "default_transaction_read_only"), "off");
    EXPECT_EQ(run(client, "SET app.who = 'bob'"), "");
    is_fresh();
    EXPECT_EQ(run(client, "SELECT name || current_setting('app.who') FROM side"), "modernbob");
    EXPECT_EQ(run(client, "UPDATE side SET name = name"), "") << "the session may write at home";
}

TEST_F(reads, write_nothing_on_modern) {
    const auto client = connect();
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "SELECT note FROM noted"), "n") << "by a view, which its text doesn't show";
    EXPECT_EQ(count("modern", "notes"), "0");
    EXPECT_EQ(count("legacy", "notes"), "1");
    EXPECT_EQ(said_again(), 1);
}

// A connection that waits may have another statement without a name than the session.
TEST_F(reads, take_no_statement_for_the_one_that_is_meant) {
    const auto client = connect();
    const char* read = "SELECT name || $1::text FROM side";
    const char* write = "UPDATE accounts SET balance = $1::int WHERE id = 1";
    is_late();
    prepare(client, "", read);
    is_fresh();
    EXPECT_EQ(prepared(client, "", {"!"}), "modern!");
    prepare(client, "", write);
    EXPECT_EQ(prepared(client, "", {"7"}), "");
    is_fresh();
    prepare(client, "", read);
    EXPECT_EQ(prepared(client, "", {"!"}), "modern!");
    is_late();
    EXPECT_EQ(prepared(client, "", {"5"}), "legacy5");
    EXPECT_EQ(count("legacy", "accounts WHERE balance = 5"), "0");
    legacy_->exec("UPDATE accounts SET balance = 0", "app");
}

TEST_F(reads, do_not_bring_back_a_statement_that_is_gone) {
    for (const bool waits_already : {false, true}) {
        const auto client = connect();
        is_fresh();
        EXPECT_EQ(waits_already ? where(client) : "modern", "modern");
        prepare(client, "", "UPDATE accounts SET balance = $1::int WHERE id = 1");
        EXPECT_EQ(prepared(client, "", {"7"}), "");
        is_fresh();
        EXPECT_EQ(where(client), "modern") << "a simple query ends it";
        EXPECT_EQ(prepared(client, "", {"5"}), "26000");
        EXPECT_EQ(count("legacy", "accounts WHERE balance = 5"), "0");
    }
    legacy_->exec("UPDATE accounts SET balance = 0", "app");
}

TEST_F(reads, find_what_functions_set_that_are_younger_than_the_session) {
    const auto client = connect();
    EXPECT_EQ(where(client), "modern");
    for (const std::string name : {"app.late", "app.later"}) {
        const auto made =
            "CREATE OR REPLACE FUNCTION set_late(t text) RETURNS text LANGUAGE sql AS $$ SELECT "
            "set_config('" +
            name + "', t, false) $$";
        legacy_->exec(made, "app");
        modern_->exec(made, "app_modern");
        EXPECT_EQ(run(client, "SELECT set_late('ann')"), "ann");
        is_fresh();
        EXPECT_EQ(run(client, "SELECT name || coalesce(current_setting('" + name + "', true), '') FROM side"),
                  "modernann");
    }
    legacy_->exec("DROP FUNCTION set_late", "app");
    modern_->exec("DROP FUNCTION set_late", "app_modern");
}

// No stream feeds it there.
TEST_F(reads, of_another_database_are_legacys) {
    make_other_databases();
    const auto client = connect("dbname=other");
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(run(client, "COMMIT"), "");
    EXPECT_EQ(read_at("modern"), 0);
    EXPECT_EQ(where(connect("dbname=app_modern")), "modern") << "which is the one that moves";
}

TEST_F(reads, are_held_with_all_else_and_follow_a_flip) {
    const auto client = connect();
    const auto idle = connect();
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(where(idle), "modern");
    front_->hold();
    PQsendQuery(client.get(), "SELECT name FROM side");
    ASSERT_TRUE(support::eventually(10s, [&] {
        return std::ranges::any_of(front_->sessions(),
                                   [](const auto& each) { return each.state == console::session_state::paused; });
    }));
    front_->decide(modern_side);
    front_->let_go();
    EXPECT_EQ(received(client), "modern");
    for (const auto* one : {&client, &idle}) {
        EXPECT_EQ(run(*one, "UPDATE side SET name = name"), "") << "it has come there to write";
        EXPECT_EQ(run(*one, "SHOW default_transaction_read_only"), "off");
        EXPECT_EQ(run(*one, "SELECT current_database()"), "app_modern");
    }
    front_->flip(legacy_side);
    is_fresh();
    EXPECT_EQ(run(client, "SELECT current_database()"), "app");
    is_fresh();
    EXPECT_EQ(where(client), "modern");
}

// The connection that waits has been made one that only reads.
TEST_F(reads, leave_no_connection_to_a_group_that_moves) {
    begin("prefer-modern", "legacy-primary", "", "{ shop: { tables: [\"public.accounts\"] } }");
    const auto client = connect();
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "UPDATE side SET name = name"), "");
    front_->decide({legacy_side, {{{"shop", ""}, modern_side}}});
    EXPECT_EQ(run(client, "UPDATE accounts SET balance = 7 WHERE id = 1"), "");
    EXPECT_EQ(run(client, "SELECT current_database()"), "app_modern");
    EXPECT_EQ(run(client, "SHOW default_transaction_read_only"), "off");
    EXPECT_EQ(run(client, "UPDATE side SET name = name"), "");
    EXPECT_EQ(run(client, "SELECT current_database()"), "app");
    EXPECT_EQ(run(client, "SHOW default_transaction_read_only"), "off");
    EXPECT_EQ(count("modern", "accounts WHERE balance = 7"), "1");
    modern_->exec("UPDATE accounts SET balance = 0", "app_modern");
}

TEST_F(reads, are_in_order_where_many_are_sent_at_once) {
    const auto client = connect();
    ASSERT_EQ(PQenterPipelineMode(client.get()), 1);
    for (const auto* sql :
         {"SELECT name FROM side", "UPDATE accounts SET balance = balance", "SELECT name FROM side"}) {
        PQsendQueryParams(client.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
        PQpipelineSync(client.get());
    }
    EXPECT_THAT(piped(client, 3), testing::ElementsAre("modern", "", "legacy"));
}

}  // namespace
}  // namespace crossfade::proxy::test
