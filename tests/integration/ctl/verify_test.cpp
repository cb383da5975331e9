#include <gtest/gtest.h>

#include <future>

#include "lib/pgclient/connection.hpp"
#include "tests/integration/ctl/shop.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::ctl {
namespace {

using namespace std::chrono_literals;

class ctl_verify : public testing::Test {
  protected:
    ctl_verify() {
        at_.create_schema();
        at_.legacy.exec(shop::rows);
        EXPECT_EQ(at_.run({"init", "--replica-identity-full"}).exit_code, 0);
        EXPECT_EQ(at_.run({"backfill"}).exit_code, 0);
    }

    // "public.orders different {"id": "7"}" for each row listed.
    std::vector<std::string> differences() const {
        std::vector<std::string> found;
        const auto answer = at_.run_json({"verify"});
        for (const auto& table : answer.at("tables").as_array())
            for (const auto& row : table.at("rows").as_array()) {
                std::string line =
                    std::string(table.at("table").as_string()) + ' ' + std::string(row.at("kind").as_string());
                const std::string key(row.at("key").as_string());
                found.push_back(line + ' ' +
                                (key.starts_with('{') ? key : "x" + std::to_string(row.at("copies").as_int64())));
            }
        return found;
    }

    const shop at_;
};

using lines = std::vector<std::string>;

TEST_F(ctl_verify, sees_a_changed_a_missing_and_an_extra_row) {
    EXPECT_EQ(differences(), lines{});
    at_.modern.exec("UPDATE orders SET more = '{}' WHERE id = 7");
    at_.modern.exec("DELETE FROM orders WHERE id = 8");
    at_.modern.exec("INSERT INTO parts VALUES (9000, NULL)");
    EXPECT_EQ(differences(), (lines{R"(public.orders different {"id": "7"})", R"(public.orders missing {"id": "8"})",
                                    R"(public.parts extra {"id": "9000"})"}));
    EXPECT_EQ(at_.run({"verify"}).exit_code, 1);
    EXPECT_EQ(at_.run({"verify", "--tables", "public.customers"}).exit_code, 0);
}

TEST_F(ctl_verify, and_a_copy_know_a_table_that_is_partitioned_on_modern_alone) {
    at_.modern.exec(
        "DROP TABLE public.audit; CREATE TABLE public.audit (what text, at timestamptz) PARTITION BY RANGE (at);"
        "CREATE TABLE public.audit_all PARTITION OF public.audit DEFAULT");
    for (int i = 0; i < 2; ++i) {
        const auto copied = at_.run({"backfill", "--again", "--tables", "public.audit"});
        EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors;
        EXPECT_EQ(at_.modern.value("SELECT count(*) FROM public.audit"), "300");
        EXPECT_EQ(differences(), lines{});
    }
    at_.legacy.exec("TRUNCATE public.audit");
    EXPECT_EQ(at_.run({"verify", "--tables", "public.audit"}).exit_code, 1);
}

TEST_F(ctl_verify, null_is_not_the_empty_string) {
    at_.legacy.exec("UPDATE parts SET name = NULL WHERE id = 3");
    at_.modern.exec("UPDATE parts SET name = '' WHERE id = 3");
    EXPECT_EQ(differences(), lines{R"(public.parts different {"id": "3"})"});
}

TEST_F(ctl_verify, counts_duplicates_where_there_is_no_key) {
    at_.modern.exec("INSERT INTO public.audit SELECT 'entry 1', '2026-01-01' FROM generate_series(1, 2)");
    at_.modern.exec(
        "DELETE FROM public.audit WHERE ctid = (SELECT min(ctid) FROM public.audit WHERE what = 'entry 2')");
    auto found = differences();
    std::ranges::sort(found);
    EXPECT_EQ(found, (lines{"public.audit extra x2", "public.audit missing x1"}));
}

// To a snapshot that is older a table that was rewritten is empty, on both sides alike.
TEST_F(ctl_verify, does_not_take_tables_that_are_rewritten_meanwhile_for_equal) {
    auto holder = pgclient::connection::open(at_.modern.dsn(), {}).value();
    // In the middle of customers: for their moods the values' names are looked up. The tables' sizes are asked before.
    ASSERT_TRUE(holder.exec("BEGIN; LOCK TABLE pg_catalog.pg_enum"));
    auto found = std::async(std::launch::async, [this] { return differences(); });
    ASSERT_TRUE(support::eventually(20s, [&] {
        const std::string ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crossfade-ctl' AND ";
        return at_.modern.value(ours + "wait_event_type = 'Lock'") == "1" &&
               at_.legacy.value(ours + "state = 'idle in transaction' AND backend_xmin IS NOT NULL") == "1";
    }));
    at_.legacy.exec("ALTER TABLE orders ALTER more TYPE jsonb USING more || '{\"at\": \"legacy\"}'");
    at_.modern.exec(
        "ALTER TABLE orders ALTER more TYPE jsonb USING CASE id WHEN 7 THEN more ELSE more || '{\"at\": \"legacy\"}' "
        "END");
    ASSERT_TRUE(holder.exec("COMMIT"));
    EXPECT_EQ(found.get(), lines{R"(public.orders different {"id": "7"})"});
}

TEST_F(ctl_verify, waits_for_the_stream_only_so_long) {
    at_.legacy.exec("UPDATE parts SET name = 'new' WHERE id = 3");
    const auto waited = at_.run({"verify", "--wait", "1"});
    EXPECT_EQ(waited.exit_code, 1);
    EXPECT_NE(waited.errors.find("did not reach"), std::string::npos) << waited.errors;
}

}  // namespace
}  // namespace crossfade::ctl
