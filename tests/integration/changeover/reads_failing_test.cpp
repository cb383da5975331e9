// What modern fails to answer legacy answers, as its client meant it.
#include "tests/integration/changeover/reads.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;

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

// The connection to legacy that waits has the statement without a name that its client had prepared there.
TEST_F(reads, that_modern_fails_are_legacys_by_the_statement_that_was_meant) {
    for (const bool modern_dies : {false, true}) {
        begin("prefer-modern");
        const auto client = connect();
        prepare(client, "", "UPDATE accounts SET balance = $1 WHERE id = $2");
        EXPECT_EQ(prepared(client, "", {"7", "1"}), "");
        is_fresh();
        prepare(client, "", "SELECT 1 / ($1::int - $1::int) FROM side WHERE $2::int > 0");
        EXPECT_EQ(front_->metric("crossfade_parked_connections"), 1);
        const auto switches = front_->metric("crossfade_read_switches_total");
        if (modern_dies) {
            end_sessions_on_modern();
            ASSERT_TRUE(support::eventually(
                10s, [&] { return front_->metric("crossfade_read_switches_total") == switches + 1; }));
        }
        EXPECT_EQ(prepared(client, "", {"5", "1"}), "22012");
        EXPECT_EQ(front_->metric("crossfade_read_switches_total"), switches + 1);
        EXPECT_EQ(count("legacy", "accounts WHERE balance = 5"), "0");
        EXPECT_EQ(prepared(client, "", {"6", "1"}), "22012") << "it has it still";
        EXPECT_EQ(run(client, "SELECT count(*) FROM accounts WHERE balance = 7"), "1");
        EXPECT_EQ(prepared(client, "", {"5", "1"}), "26000") << "a simple query ends it";
        legacy_->exec("UPDATE accounts SET balance = 0", "app");
    }
}

TEST_F(reads, that_modern_fails_say_so_where_legacy_can_not_be_asked) {
    const auto client = connect();
    EXPECT_EQ(where(client), "modern");
    legacy_->exec(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'app' AND pid <> "
        "pg_backend_pid()",
        "app");
    EXPECT_EQ(run(client, "SELECT nothing FROM side"), "42703");
    EXPECT_EQ(said_again(), 0);
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "UPDATE side SET name = name"), "") << "by another one";
}

// What changed the session on modern has to be brought home before legacy can be asked.
TEST_F(reads, that_modern_fails_are_legacys_behind_what_changed_the_session) {
    for (const auto* change : {"SHOW transaction_isolation", "SET app.who = 'ann'", "PREPARE p AS SELECT 1"}) {
        const auto client = connect();
        EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
        EXPECT_EQ(where(client), "modern");
        EXPECT_THAT(run(client, change), testing::AnyOf("read committed", ""));
        EXPECT_EQ(run(client, "COMMIT"), "");
        EXPECT_EQ(run(client, "SELECT nothing FROM side"), "42703") << change;
        EXPECT_EQ(run(client, "SELECT name FROM here_alone"), "legacy");
        EXPECT_EQ(run(client, "UPDATE side SET name = name"), "");
    }
}

}  // namespace
}  // namespace crossfade::proxy::test
