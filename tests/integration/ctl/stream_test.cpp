#include <gtest/gtest.h>

#include "lib/pgclient/connection.hpp"
#include "lib/store/schema.hpp"
#include "tests/integration/ctl/shop.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::ctl {
namespace {

using namespace std::chrono_literals;

std::string state_of(const shop& at, const std::string& table) {
    return at.modern.value("SELECT state FROM crossfade.tables WHERE table_name = '" + table + "'");
}

TEST(ctl_init, asks_before_it_sets_replica_identity_and_changes_nothing_until_then) {
    const shop at;
    at.create_schema();
    const auto refused = at.run({"init"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.errors.find("public.audit"), std::string::npos) << refused.errors;
    EXPECT_EQ(at.legacy.value("SELECT count(*) FROM pg_publication"), "0");
    EXPECT_EQ(at.modern.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'crossfade'"), "0");
}

TEST(ctl_init, is_idempotent_and_takes_in_new_tables) {
    const shop at;
    at.create_schema();
    const auto first = at.run({"init", "--replica-identity-full"});
    ASSERT_EQ(first.exit_code, 0) << first.errors;
    const std::string slot = at.legacy.value("SELECT confirmed_flush_lsn FROM pg_replication_slots");
    const std::string progress = "SELECT next_offset || ' ' || commit_lsn || ' ' || end_lsn FROM crossfade.progress";
    EXPECT_EQ(at.modern.value(progress), "0 " + slot + ' ' + slot);
    EXPECT_EQ(at.legacy.value("SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables"),
              "audit customers orders parts");

    const auto second = at.run({"init"});
    ASSERT_EQ(second.exit_code, 0) << second.errors;
    EXPECT_EQ(at.modern.value(progress), "0 " + slot + ' ' + slot);

    // Qualified: for a role of the same name, schema crossfade comes first once it is there.
    at.legacy.exec("CREATE TABLE public.late (id int PRIMARY KEY)");
    at.modern.exec("CREATE TABLE public.late (id int PRIMARY KEY)");
    const auto third = at.run({"init"});
    ASSERT_EQ(third.exit_code, 0) << third.errors;
    EXPECT_NE(third.output.find("added public.late"), std::string::npos) << third.output;
    EXPECT_EQ(state_of(at, "public.late"), "new");
    ASSERT_EQ(at.run({"backfill", "--tables", "public.late"}).exit_code, 0);
    EXPECT_EQ(state_of(at, "public.late"), "live");
}

TEST(ctl_init, without_a_superuser_goes_on_and_says_that_ddl_is_not_noticed) {
    const shop at;
    at.create_schema();
    at.legacy.exec("CREATE ROLE plain LOGIN REPLICATION; GRANT CREATE ON DATABASE app TO plain");
    for (const char* table : {"customers", "orders", "audit", "parts", "parts_low", "parts_high"})
        at.legacy.exec("ALTER TABLE " + std::string{table} + " OWNER TO plain");
    at.write_config("plain");
    const auto verdict = [&] {
        const auto answer = at.run_json({"check"});
        for (const auto& each : answer.at("checks").as_array())
            if (each.at("id") == "legacy.ddl") return std::string{each.at("verdict").as_string()};
        return std::string{"not asked"};
    };
    const auto made = at.run({"init", "--replica-identity-full"});
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    EXPECT_NE(made.output.find("is not noticed: event triggers need a superuser"), std::string::npos) << made.output;
    EXPECT_EQ(at.legacy.value("SELECT to_regclass('crossfade.ddl_streams') IS NULL"), "t") << "half of it";
    EXPECT_EQ(verdict(), "warn");

    at.write_config();
    ASSERT_EQ(at.run({"init"}).exit_code, 0);
    EXPECT_EQ(verdict(), "ok");
    at.legacy.exec("ALTER EVENT TRIGGER crossfade_sql_drop DISABLE");
    EXPECT_EQ(verdict(), "warn");
    ASSERT_EQ(at.run({"init"}).exit_code, 0);
    EXPECT_EQ(verdict(), "ok");
    // What the one role has made, the other one doesn't need to be able to read.
    at.write_config("plain");
    EXPECT_EQ(at.run({"init"}).exit_code, 0);
}

TEST(ctl_init, half_a_stream_is_refused_and_a_resync_is_the_way_out) {
    const shop at;
    at.create_schema();
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    at.legacy.exec("SELECT pg_drop_replication_slot('crossfade_app')");
    at.legacy.exec(shop::rows);
    const auto refused = at.run({"init"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.errors.find("--resync"), std::string::npos) << refused.errors;

    // Of a history at higher LSNs, which legacy had before it was replaced.
    at.modern.exec(
        "INSERT INTO crossfade.dead_letters (stream, topic, partition, kafka_offset, system_identifier, timeline,"
        " commit_lsn, ordinal, table_name, operation, sqlstate, reason, event)"
        " SELECT 'app', 'crossfade.app.changes', 0, 1, 1, 1, 'FF/0', 1, name, 'update', '23514', 'of before', ''"
        " FROM unnest('{public.orders,public.parts}'::text[]) AS name");
    const auto mended = at.run({"backfill", "--resync"});
    ASSERT_EQ(mended.exit_code, 0) << mended.errors << mended.output;
    EXPECT_EQ(at.modern.value("SELECT count(*) FROM crossfade.dead_letters"), "0");
    EXPECT_EQ(at.run({"verify"}).exit_code, 0);
    // Nothing lies between what the slot keeps and what counts as applied.
    EXPECT_EQ(at.modern.value("SELECT p.end_lsn >= '" +
                              at.legacy.value("SELECT confirmed_flush_lsn FROM pg_replication_slots") +
                              "' FROM crossfade.progress p"),
              "t");
    EXPECT_EQ(at.run({"init"}).exit_code, 0);
}

// As behind an upgrade, with the hook of the chart: pg_dump of modern, say, has its tables open meanwhile.
TEST(ctl_init, locks_nothing_that_is_as_it_should_be) {
    const shop at;
    at.create_schema();
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    auto reader = pgclient::connection::open(at.modern.dsn(), {}).value();
    const std::string tables = at.modern.value(
        "SELECT string_agg('crossfade.' || tablename, ', ') FROM pg_tables WHERE schemaname ="
        " 'crossfade' AND tablename <> 'meta'");
    ASSERT_TRUE(reader.exec("BEGIN; LOCK TABLE " + tables + " IN ACCESS SHARE MODE"));
    const auto again = at.run({"init"});
    EXPECT_EQ(again.exit_code, 0) << again.errors;
    // As crossfade-cdc has it, for dead letters.
    ASSERT_TRUE(reader.exec("LOCK TABLE " + tables + " IN ROW EXCLUSIVE MODE"));
    EXPECT_EQ(at.run({"init"}).exit_code, 0);
}

TEST(ctl_init, does_not_stand_in_the_streams_way_for_a_lock) {
    const shop at;
    at.create_schema();
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    at.modern.exec("ALTER TABLE crossfade.progress DROP COLUMN left_timelines");  // as an older program has it
    auto reader = pgclient::connection::open(at.modern.dsn(), {}).value();
    ASSERT_TRUE(reader.exec("BEGIN; LOCK TABLE crossfade.progress IN ACCESS SHARE MODE"));
    support::temp_dir logs;
    support::child_process initing(
        {.argv = {support::program_path("crossfade").string(), "--config", at.config_path(), "init"},
         .log = logs.path() / "log"});
    ASSERT_TRUE(support::eventually(20s, [&] {
        return at.modern.value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crossfade-ctl'"
                   " AND wait_event_type = 'Lock'") == "1";
    })) << support::read_file(logs.path() / "log");
    auto stream = pgclient::connection::open(at.modern.dsn(), {}).value();
    ASSERT_TRUE(stream.exec("SET lock_timeout = '10s'"));
    EXPECT_TRUE(stream.exec("UPDATE crossfade.progress SET updated_at = now()"));
    EXPECT_EQ(initing.wait_exit(60s), 1);
    const auto told = support::read_file(logs.path() / "log");
    EXPECT_NE(told.find("could not be locked within 20 s: process "), std::string::npos) << told;
    EXPECT_NE(told.find("then crossfade init again"), std::string::npos) << told;
    ASSERT_TRUE(reader.exec("COMMIT"));
    EXPECT_EQ(at.run({"init"}).exit_code, 0);
}

TEST(ctl_backfill, copies_everything_and_may_be_run_again) {
    const shop at;
    at.create_schema();
    at.legacy.exec(shop::rows);
    EXPECT_EQ(at.run({"backfill"}).exit_code, 1) << "before init, changes during the copy would be lost";
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    for (int round = 0; round < 2; ++round) {
        const auto copied = at.run({"backfill", "--parallel", "3"});
        ASSERT_EQ(copied.exit_code, 0) << copied.errors << copied.output;
        EXPECT_EQ(at.run({"verify"}).exit_code, 0);
        at.modern.exec(
            "SET session_replication_role = replica; DELETE FROM customers WHERE id < 50;"
            "INSERT INTO public.audit VALUES ('by hand', now()); UPDATE parts SET name = 'other'");
    }
    EXPECT_EQ(at.run({"verify"}).exit_code, 1);
}

TEST(ctl_backfill, a_failed_table_fails_loudly_and_alone) {
    const shop at;
    at.create_schema();
    at.legacy.exec(shop::rows);
    at.modern.exec("ALTER TABLE parts ADD CHECK (id <> 77)");
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    const auto failed = at.run({"backfill"});
    EXPECT_EQ(failed.exit_code, 1);
    EXPECT_NE(failed.output.find("failed: public.parts"), std::string::npos) << failed.output;
    EXPECT_EQ(state_of(at, "public.parts"), "copying");
    EXPECT_EQ(state_of(at, "public.orders"), "live");
    EXPECT_EQ(at.modern.value("SELECT count(*) FROM parts"), "0");
    at.modern.exec("ALTER TABLE parts DROP CONSTRAINT parts_id_check");
    EXPECT_EQ(at.run({"backfill", "--tables", "public.parts"}).exit_code, 0);
    EXPECT_EQ(at.run({"verify"}).exit_code, 0);
}

// A table that is truncated or rewritten looks empty to an older snapshot; the rows that it has afterwards are in no
// event if it was rewritten.
TEST(ctl_backfill, of_a_table_that_is_rewritten_behind_the_snapshot_begins_again) {
    const shop at;
    at.create_schema();
    at.legacy.exec(shop::rows);
    at.modern.exec("ALTER TABLE public.audit ADD COLUMN token uuid");
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    // The largest table comes first, and waits, while the others have not been read yet.
    auto holder = pgclient::connection::open(at.modern.dsn(), {}).value();
    ASSERT_TRUE(holder.exec("BEGIN; LOCK TABLE public.orders IN EXCLUSIVE MODE"));
    support::temp_dir logs;
    support::child_process copying({.argv = {support::program_path("crossfade").string(), "--config", at.config_path(),
                                             "backfill", "--parallel", "1"},
                                    .log = logs.path() / "log"});
    ASSERT_TRUE(support::eventually(20s, [&] {
        return at.modern.value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crossfade-ctl'"
                   " AND wait_event_type = 'Lock'") == "1";
    })) << support::read_file(logs.path() / "log");
    // What is new has to come with the rows, too.
    at.legacy.exec("ALTER TABLE public.audit ADD COLUMN token uuid DEFAULT gen_random_uuid()");
    at.legacy.exec("ALTER TABLE parts ALTER name TYPE text USING name || ''");
    at.legacy.exec(
        "CREATE TABLE public.again (LIKE customers INCLUDING ALL); INSERT INTO again OVERRIDING SYSTEM VALUE"
        " SELECT id, name || '!', feels FROM customers; ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey;"
        "DROP TABLE customers; ALTER TABLE again RENAME TO customers");
    ASSERT_TRUE(holder.exec("COMMIT"));
    EXPECT_EQ(copying.wait_exit(30s), 0);
    const auto told = support::read_file(logs.path() / "log");
    EXPECT_NE(told.find("3 tables were truncated, rewritten or altered"), std::string::npos) << told;
    EXPECT_EQ(at.run({"verify"}).exit_code, 0) << told;
}

// The stream leaves out what lies in front of the snapshot, in the belief that the copy has it.
TEST(ctl_backfill, has_what_was_altered_before_its_snapshot) {
    const shop at;
    at.create_schema();
    at.legacy.exec(shop::rows);
    at.modern.exec("ALTER TABLE parts ADD COLUMN n int; ALTER TABLE orders ADD COLUMN was_text int");
    at.legacy.exec("ALTER TABLE orders ADD COLUMN was_text text DEFAULT '7'");
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    auto other = pgclient::connection::open(at.modern.dsn(), {}).value();
    ASSERT_TRUE(
        other.exec("SELECT pg_advisory_lock($1::int, $2::int)", store::lock_key(store::lock::backfilling, "app")));
    support::temp_dir logs;
    support::child_process copying(
        {.argv = {support::program_path("crossfade").string(), "--config", at.config_path(), "backfill"},
         .log = logs.path() / "log"});
    ASSERT_TRUE(support::eventually(20s, [&] {
        return at.modern.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == "1";
    })) << support::read_file(logs.path() / "log");
    at.legacy.exec(
        "ALTER TABLE parts ADD COLUMN n int DEFAULT 5; ALTER TABLE orders ALTER was_text DROP DEFAULT,"
        " ALTER was_text TYPE int USING was_text::int;"
        "ALTER TABLE public.audit ADD COLUMN lacking int;"
        "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey; DROP TABLE customers");
    ASSERT_TRUE(other.exec("SELECT pg_advisory_unlock_all()"));
    EXPECT_EQ(copying.wait_exit(30s), 1);
    const auto told = support::read_file(logs.path() / "log");
    EXPECT_NE(told.find("4 tables were truncated, rewritten or altered"), std::string::npos) << told;
    EXPECT_NE(told.find("failed: public.audit.lacking is missing on modern"), std::string::npos) << told;
    EXPECT_NE(told.find("failed: public.customers is gone on legacy"), std::string::npos) << told;
    EXPECT_EQ(state_of(at, "public.audit"), "copying");
    EXPECT_EQ(state_of(at, "public.parts"), "live");
    EXPECT_EQ(at.run({"verify", "--tables", "public.parts", "--tables", "public.orders"}).exit_code, 0) << told;
    EXPECT_EQ(at.modern.value("SELECT DISTINCT n FROM parts"), "5");
}

TEST(ctl_backfill, without_the_right_to_switch_triggers_off_leaves_what_inherits_alone) {
    const shop at;
    at.create_schema();
    at.legacy.exec(shop::rows);
    at.modern.exec(
        "CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE app TO plain;"
        "CREATE TABLE public.kept () INHERITS (public.audit); INSERT INTO public.kept VALUES ('nobody''s', now());"
        "INSERT INTO public.audit VALUES ('old', now()); INSERT INTO parts VALUES (9000, 'old')");
    for (const char* table : {"customers", "orders", "public.audit", "parts", "parts_low", "parts_high", "public.kept"})
        at.modern.exec("ALTER TABLE " + std::string{table} + " OWNER TO plain");
    at.write_config("crossfade", 0, "plain");
    const auto begun = at.run({"init", "--replica-identity-full"});
    ASSERT_EQ(begun.exit_code, 0) << begun.errors;
    const auto copied = at.run({"backfill"});
    EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors;
    EXPECT_EQ(at.modern.value("SELECT count(*) FROM public.kept"), "1");
    EXPECT_EQ(at.run({"verify"}).exit_code, 0);
}

struct ending {
    const char* name;
    int signal;
};
class ctl_backfill_endings : public testing::TestWithParam<ending> {};

TEST_P(ctl_backfill_endings, leave_copying_behind_and_another_run_mends_it) {
    const shop at;
    at.create_schema();
    at.legacy.exec(shop::rows);
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    ASSERT_EQ(at.run({"backfill"}).exit_code, 0);
    {
        // One table is held fast, so that the copy is caught in the middle of it.
        auto holder = pgclient::connection::open(at.modern.dsn(), {}).value();
        ASSERT_TRUE(holder.exec("BEGIN; LOCK TABLE public.orders IN EXCLUSIVE MODE"));
        support::child_process copying(
            {.argv = {support::program_path("crossfade").string(), "--config", at.config_path(), "backfill"}});
        ASSERT_TRUE(support::eventually(20s, [&] {
            return at.modern.value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crossfade-ctl'"
                       " AND wait_event_type = 'Lock'") == "1";
        }));
        copying.signal(GetParam().signal);
        if (GetParam().signal != SIGKILL) {
            ASSERT_TRUE(holder.exec("COMMIT"));
        }
        const auto code = copying.wait_exit(20s);
        ASSERT_TRUE(code.has_value());
        EXPECT_NE(*code, 0);
    }
    EXPECT_EQ(state_of(at, "public.orders"), "copying");
    EXPECT_EQ(at.run({"backfill"}).exit_code, 0);
    EXPECT_EQ(state_of(at, "public.orders"), "live");
    EXPECT_EQ(at.run({"verify"}).exit_code, 0);
}

INSTANTIATE_TEST_SUITE_P(all, ctl_backfill_endings,
                         testing::Values(ending{"kill", SIGKILL}, ending{"interrupt", SIGINT}),
                         [](const auto& each) { return std::string{each.param.name}; });

}  // namespace
}  // namespace crossfade::ctl
