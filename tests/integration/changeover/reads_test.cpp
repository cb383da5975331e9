// Reads go to modern while legacy is in charge, and nobody notices.
#include "tests/integration/changeover/two_sides.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;

class reads : public two_sides {
  protected:
    static void SetUpTestSuite() {
        two_sides::SetUpTestSuite();
        if (!legacy_) return;
        legacy_->exec("CREATE TABLE here_alone AS SELECT 'legacy' AS name" + writing_view(), "app");
        modern_->exec("SELECT 1" + writing_view(), "app_modern");
    }
    void SetUp() override { begin("prefer-modern"); }

    void begin(const std::string& strategy, const std::string& writes = "legacy-primary") {
        start(writes + ", hybrid_read_strategy: " + strategy, "max_read_lag: 1h");
        auto& view = front_->view();
        view.set_tables({{"public.side", 0}, {"public.accounts", 0}, {"public.here_alone", 0}, {"public.noted", 0}});
        for (const auto each : {legacy_side, modern_side}) view.set_shared(each, {});
        view.set_whole(true);
        view.set_there(true);
        is_fresh();
    }
    void is_fresh() { front_->view().set_fresh_to(std::chrono::steady_clock::now()); }
    void is_late() { front_->view().set_fresh_to(std::chrono::steady_clock::now() - 2h); }
    double fallbacks(const std::string& reason) {
        return front_->metric("crossfade_read_fallbacks_total{reason=\"" + reason + "\"}");
    }
    double read_at(const std::string& side) { return front_->metric("crossfade_reads_total{side=\"" + side + "\"}"); }
    double said_again() { return front_->metric("crossfade_reads_said_again_total"); }
    double detours() {
        return front_->metric("crossfade_session_detours_total{result=\"came_back\"}") +
               front_->metric("crossfade_session_detours_total{result=\"logged_in\"}");
    }
    static std::string extended(const connection& on, const std::string& sql, const std::vector<const char*>& values) {
        return outcome(answer{PQexecParams(on.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                           values.data(), nullptr, nullptr, 0)});
    }
    static std::string prepared(const connection& on, const std::string& name) {
        return outcome(answer{PQexecPrepared(on.get(), name.c_str(), 0, nullptr, nullptr, nullptr, 0)});
    }
    static void prepare(const connection& on, const std::string& name, const std::string& sql) {
        EXPECT_EQ(outcome(answer{PQprepare(on.get(), name.c_str(), sql.c_str(), 0, nullptr)}), "");
    }
    static void end_sessions_on_modern() {
        modern_->exec(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'app_modern' AND "
            "pid <> pg_backend_pid() AND application_name <> 'holder'",
            "app_modern");
    }
    static std::string count(const std::string& side, const std::string& table) {
        const auto sql = "SELECT count(*) FROM " + table;
        return side == "legacy" ? legacy_->value(sql, "app") : modern_->value(sql, "app_modern");
    }

  private:
    static std::string writing_view() {
        return "; CREATE TABLE notes (note text); CREATE FUNCTION take_note() RETURNS text LANGUAGE sql AS $$ INSERT "
               "INTO notes VALUES ('n') RETURNING note $$; CREATE VIEW noted AS SELECT take_note() AS note";
    }
};

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

TEST_F(reads, that_modern_fails_are_legacys) {
    const auto client = connect();
    EXPECT_EQ(run(client, "SELECT name FROM here_alone"), "legacy");
    EXPECT_EQ(where(client), "legacy") << "as what modern refuses may be a write";
    is_fresh();
    EXPECT_EQ(extended(client, "SELECT name FROM here_alone WHERE $1 = 1", {"1"}), "legacy");
    is_fresh();
    EXPECT_EQ(run(client, "SELECT nothing FROM side"), "42703") << "as legacy says";
    EXPECT_EQ(said_again(), 3);
    is_fresh();
    EXPECT_EQ(where(client), "modern");
}

TEST_F(reads, go_on_when_modern_dies) {
    const auto client = connect();
    EXPECT_EQ(where(client), "modern");
    end_sessions_on_modern();
    EXPECT_EQ(where(client), "legacy") << "idle";

    begin("prefer-modern");
    const auto other = connect();
    EXPECT_EQ(where(other), "modern");
    const connection holder{PQconnectdb((modern_->dsn("app_modern") + "?application_name=holder").c_str())};
    EXPECT_EQ(run(holder, "BEGIN; LOCK accounts IN ACCESS EXCLUSIVE MODE"), "");
    for (const bool simply : {true, false}) {
        is_fresh();
        if (simply)
            PQsendQuery(other.get(), "SELECT count(*) FROM accounts");
        else
            PQsendQueryParams(other.get(), "SELECT count(*) FROM accounts", 0, nullptr, nullptr, nullptr, nullptr, 0);
        ASSERT_TRUE(support::eventually(10s, [&] {
            return modern_->value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
                                  "app_modern") == "1";
        }));
        end_sessions_on_modern();
        EXPECT_EQ(received(other), "100") << "in the middle of a statement";
        EXPECT_EQ(PQtransactionStatus(other.get()), PQTRANS_IDLE);
        // Until it may try again.
        EXPECT_TRUE(support::eventually(10s, [&] {
            is_fresh();
            return where(other) == "modern";
        }));
    }
    EXPECT_EQ(said_again(), 2);
}

TEST_F(reads, of_a_read_only_transaction) {
    for (const auto* begin : {"BEGIN READ ONLY", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"}) {
        const auto client = connect();
        EXPECT_EQ(run(client, begin), "");
        EXPECT_EQ(where(client), "modern");
        EXPECT_EQ(run(client, "SELECT current_database()"), "app_modern") << "all of it is there";
        EXPECT_EQ(run(client, "SET LOCAL statement_timeout = '1min'"), "");
        EXPECT_EQ(run(client, "INSERT INTO notes VALUES ('x')"), "25006") << "as everywhere";
        EXPECT_EQ(PQtransactionStatus(client.get()), PQTRANS_INERROR);
        EXPECT_EQ(run(client, "ROLLBACK"), "");
        EXPECT_EQ(run(client, "UPDATE side SET name = name"), "");
        EXPECT_EQ(run(client, begin), "");
        EXPECT_EQ(where(client), "legacy") << "what it wrote is on legacy alone";
        EXPECT_EQ(run(client, "COMMIT"), "");
    }
    const auto client = connect();
    EXPECT_EQ(run(client, "BEGIN"), "");
    EXPECT_EQ(run(client, "SET TRANSACTION READ ONLY"), "");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "SHOW transaction_read_only"), "on");
    EXPECT_EQ(run(client, "COMMIT"), "");
    EXPECT_EQ(run(client, "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"), "");
    EXPECT_EQ(where(client), "legacy") << "of no order with what is written there";
    EXPECT_EQ(run(client, "COMMIT"), "");
}

TEST_F(reads, of_a_read_only_transaction_that_strays) {
    const auto client = connect();
    EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
    EXPECT_EQ(run(client, "SELECT pg_try_advisory_xact_lock(1)"), "t");
    EXPECT_EQ(legacy_->value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "app"), "1")
        << "where others heed it";
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(run(client, "COMMIT"), "");
    is_fresh();
    EXPECT_EQ(run(client, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), "");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "SELECT pg_try_advisory_xact_lock(1)"), "XF009") << "it has a snapshot there";
    EXPECT_EQ(run(client, "ROLLBACK"), "");
    front_->read_by(settings::read_strategy::modern);
    const auto another = connect();
    EXPECT_EQ(run(another, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(another), "modern");
    EXPECT_EQ(run(another, "SET TRANSACTION READ WRITE"), "");
    EXPECT_EQ(run(another, "INSERT INTO notes VALUES ('x')"), "") << "where it is allowed";
    EXPECT_EQ(run(another, "ROLLBACK"), "");
    EXPECT_EQ(front_->metric("crossfade_read_only_refused_total"), 1);
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

TEST_F(reads, are_in_order_where_many_are_sent_at_once) {
    const auto client = connect();
    ASSERT_EQ(PQenterPipelineMode(client.get()), 1);
    for (const auto* sql :
         {"SELECT name FROM side", "UPDATE accounts SET balance = balance", "SELECT name FROM side"}) {
        PQsendQueryParams(client.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
        PQpipelineSync(client.get());
    }
    std::vector<std::string> got;
    while (got.size() < 3) {
        const answer one{PQgetResult(client.get())};
        if (one && PQresultStatus(one.get()) != PGRES_PIPELINE_SYNC) got.push_back(outcome(one));
    }
    EXPECT_THAT(got, testing::ElementsAre("modern", "", "legacy"));
}

}  // namespace
}  // namespace crossfade::proxy::test
