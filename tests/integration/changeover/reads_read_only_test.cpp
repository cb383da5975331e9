// READ ONLY transactions are modern's, whatever they say, and leave nothing behind that is noticed.
#include "tests/integration/changeover/reads.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;

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

TEST_F(reads, of_a_read_only_transaction_find_legacys_sequences_and_catalogs) {
    const auto client = connect();
    EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "SELECT name FROM sides"), "modern") << "whose tables are as they were";
    EXPECT_EQ(run(client, "SELECT last_value FROM drawn"), "4711");
    EXPECT_EQ(where(client), "legacy") << "it began anew";
    EXPECT_EQ(run(client, "COMMIT"), "");
    const std::string here = "SELECT count(*) FROM pg_stat_database WHERE datname = 'app_modern'";
    // As pg_dump does it.
    EXPECT_EQ(run(client, "BEGIN"), "");
    EXPECT_EQ(run(client, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"), "");
    EXPECT_EQ(run(client, here), "0");
    EXPECT_EQ(run(client, "SELECT last_value FROM drawn"), "4711");
    EXPECT_EQ(run(client, "COMMIT"), "");
    EXPECT_EQ(run(client, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), "");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, here), "1") << "it has a snapshot there, and the catalogs say something";
    EXPECT_EQ(run(client, here), "1");
    EXPECT_EQ(run(client, "SELECT last_value FROM drawn"), "XF009");
    EXPECT_EQ(run(client, "ROLLBACK"), "");
    // Of a text as long as that nobody knows what it reads.
    is_fresh();
    const auto another = connect();
    EXPECT_EQ(run(another, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(another), "modern");
    EXPECT_EQ(run(another, "/*" + std::string(9 << 10, ' ') + "*/ SELECT last_value FROM drawn"), "4711");
    EXPECT_EQ(run(another, "COMMIT"), "");
}

TEST_F(reads, of_a_read_only_transaction_notice_when_a_table_is_no_more_as_it_was) {
    const auto client = connect();
    EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(client), "modern");
    front_->view().set_tables({{"public.side", 0}});
    EXPECT_EQ(run(client, "SELECT count(*) FROM accounts"), "100");
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(run(client, "COMMIT AND CHAIN"), "");
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(run(client, "COMMIT"), "");
}

TEST_F(reads, of_a_chain_of_read_only_transactions_come_home) {
    const auto client = connect();
    EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "COMMIT AND CHAIN"), "");
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(run(client, "SHOW transaction_read_only"), "on");
    EXPECT_EQ(run(client, "COMMIT"), "");
}

// What it has set for itself is undone, which its client is told, and set again.
TEST_F(reads, of_a_read_only_transaction_that_begins_anew_are_told_what_it_has_set) {
    const auto client = connect();
    const auto told = [&](const char* name) { return std::string{PQparameterStatus(client.get(), name)}; };
    const auto zone = told("TimeZone");
    EXPECT_EQ(run(client, "BEGIN"), "");
    EXPECT_EQ(run(client, "SET LOCAL client_encoding = 'LATIN1'"), "");
    EXPECT_EQ(run(client, "SET LOCAL TimeZone = 'Asia/Tokyo'"), "");
    EXPECT_EQ(run(client, "SET TRANSACTION READ ONLY"), "");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(told("client_encoding"), "LATIN1");
    EXPECT_EQ(told("TimeZone"), "Asia/Tokyo");
    EXPECT_EQ(run(client, "COMMIT"), "");
    EXPECT_EQ(told("client_encoding"), "UTF8");
    EXPECT_EQ(told("TimeZone"), zone);
    // And home again.
    is_fresh();
    EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "SET LOCAL DateStyle = 'German'"), "");
    EXPECT_EQ(run(client, "SELECT pg_try_advisory_xact_lock(1)"), "t");
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(told("DateStyle"), "German, DMY");
    EXPECT_EQ(run(client, "COMMIT"), "");
    EXPECT_EQ(told("DateStyle"), "ISO, MDY");
}

// Longer than what is looked at together.
TEST_F(reads, of_a_read_only_transaction_with_long_values) {
    begin("prefer-modern", "legacy-primary", ", query_timeout: 10s");
    const auto client = connect();
    const std::string value(200'000, 'v');
    const auto sets = [&] { return extended(client, "SELECT length(set_config('app.x', $1, true))", {value.c_str()}); };
    const auto looks = [&] {
        return extended(client, "SELECT name FROM side WHERE length($1::text) = 200000", {value.c_str()});
    };
    EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
    EXPECT_EQ(sets(), "200000");
    EXPECT_EQ(looks(), "legacy") << "it began anew where it is heard";
    EXPECT_EQ(run(client, "COMMIT"), "");
    is_fresh();
    EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
    EXPECT_EQ(looks(), "modern");
    EXPECT_EQ(sets(), "200000");
    EXPECT_EQ(run(client, "SELECT length(current_setting('app.x'))"), "200000");
    EXPECT_EQ(run(client, "COMMIT"), "");
    EXPECT_EQ(run(client, "UPDATE side SET name = name"), "");
}

// At home it would only have kept the session there.
TEST_F(reads, of_a_read_only_transaction_leave_nothing_on_modern_that_keeps_the_session) {
    for (const auto* what : {"DECLARE c CURSOR WITH HOLD FOR SELECT name FROM side",
                             "DO $$ BEGIN PERFORM set_config('app.who', 'x', false); END $$"}) {
        is_fresh();
        const auto client = connect();
        EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
        EXPECT_EQ(where(client), "modern");
        EXPECT_EQ(run(client, what), "") << what;
        EXPECT_EQ(run(client, "COMMIT"), "");
        if (std::string_view{what}.starts_with("DECLARE")) {
            EXPECT_EQ(run(client, "FETCH 1 FROM c"), "legacy");
        }
        EXPECT_EQ(run(client, "UPDATE side SET name = name"), "") << what;
    }
}

// As pgjdbc does it: what failed is rolled back, and the next transaction begun with its first statement.
TEST_F(reads, of_a_read_only_transaction_that_failed_are_followed_by_a_write) {
    const auto client = connect();
    prepare(client, "begin", "BEGIN");
    prepare(client, "rollback", "ROLLBACK");
    is_fresh();
    EXPECT_EQ(run(client, "BEGIN READ ONLY"), "");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(extended(client, "SELECT 1 / ($1::int - 1) FROM side", {"1"}), "22012");
    EXPECT_EQ(prepared(client, "rollback"), "");
    ASSERT_EQ(PQenterPipelineMode(client.get()), 1);
    EXPECT_EQ(PQsendQueryPrepared(client.get(), "begin", 0, nullptr, nullptr, nullptr, 0), 1);
    EXPECT_EQ(PQsendQueryParams(client.get(), "UPDATE accounts SET balance = balance WHERE id = 1 RETURNING id", 0,
                                nullptr, nullptr, nullptr, nullptr, 0),
              1);
    ASSERT_EQ(PQpipelineSync(client.get()), 1);
    EXPECT_EQ(piped(client, 2), (std::vector<std::string>{"", "1"}));
}

}  // namespace
}  // namespace crossfade::proxy::test
