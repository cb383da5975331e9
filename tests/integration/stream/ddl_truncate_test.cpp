// TRUNCATE of partitions by their own names, which PostgreSQL leaves out of what is published by the table's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lib/pgclient/connection.hpp"
#include "tests/integration/stream/ddl_world.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using table = support::postgres_cluster::table;

constexpr const char* schema = R"sql(
    CREATE TABLE parted (id int, part int, note text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
    CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2) PARTITION BY RANGE (id);
    CREATE TABLE parted_2_low PARTITION OF parted_2 FOR VALUES FROM (0) TO (100);
    CREATE TABLE parted_2_rest PARTITION OF parted_2 DEFAULT;
    CREATE TABLE "Ha'shed" (id int PRIMARY KEY, note text) PARTITION BY HASH (id);
    CREATE TABLE "Ha'shed 0" PARTITION OF "Ha'shed" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE "Ha'shed 1" PARTITION OF "Ha'shed" FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE owner (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
    CREATE TABLE owner_1 PARTITION OF owner FOR VALUES IN (1);
    CREATE TABLE owner_2 PARTITION OF owner DEFAULT;
    CREATE TABLE kin (id int PRIMARY KEY, owner int, part int, FOREIGN KEY (owner, part) REFERENCES owner);
)sql";

class ddl_truncate : public ddl_world {
  protected:
    ddl_truncate() : ddl_world(schema) {}

    void legacy(const std::string& sql) { world_->legacy.exec(sql); }
    void fill() {
        legacy(
            "INSERT INTO parted SELECT n, 1 + n % 2, 'x' FROM generate_series(0, 199) n;"
            "INSERT INTO \"Ha'shed\" SELECT n, 'x' FROM generate_series(0, 199) n");
    }
    void expect_equal() { EXPECT_EQ(world_->settle(20s), "") << world_->logs(); }
    // Where the partitions are others.
    void expect_same_rows() {
        const auto rows = [](const support::postgres_cluster& of) {
            return of.exec(
                "SELECT 'p', id, part, note FROM public.parted UNION ALL SELECT 'h', id, 0, note FROM "
                "public.\"Ha'shed\""
                " ORDER BY 1, 2, 3");
        };
        EXPECT_TRUE(support::eventually(20s, [&] { return rows(world_->legacy) == rows(world_->modern); }))
            << world_->logs();
    }
    std::string modern(const std::string& sql) { return world_->modern.value(sql); }
};

TEST_P(ddl_truncate, is_done_at_its_place_among_the_rows) {
    fill();
    legacy(
        "BEGIN; INSERT INTO parted VALUES (1000, 1, 'before'); TRUNCATE parted_1;"
        "INSERT INTO parted VALUES (1001, 1, 'after'); COMMIT");
    expect_equal();
    EXPECT_EQ(modern("SELECT string_agg(id::text, ',') FROM parted WHERE part = 1"), "1001");
    EXPECT_EQ(seen(), (table{{"TRUNCATE TABLE", "public.parted", "passed"}}));

    // In a savepoint, by a function, under another search_path; and one that is undone.
    legacy(
        "CREATE FUNCTION public.clear() RETURNS void LANGUAGE sql AS 'TRUNCATE public.parted_2_low';"
        "BEGIN; SAVEPOINT a; SELECT clear(); INSERT INTO parted VALUES (0, 2, 'after'); RELEASE a;"
        "SAVEPOINT b; TRUNCATE parted_1; ROLLBACK TO b; SET LOCAL search_path = pg_temp;"
        "TRUNCATE public.\"Ha'shed 1\"; COMMIT");
    expect_equal();
    EXPECT_EQ(modern("SELECT count(*) || ' ' || min(id) FROM parted WHERE part = 1"), "1 1001");
    EXPECT_EQ(modern("SELECT count(*) FROM parted WHERE part = 2 AND id < 100"), "1");
    EXPECT_THAT(modern("SELECT count(*) FROM \"Ha'shed\""), Not("0"));
    EXPECT_EQ(seen().size(), 3U);
    EXPECT_EQ(world_->complaints(), "");
    EXPECT_THAT(world_->crossfade({"ddl", "list"}).output, HasSubstr("TRUNCATE TABLE"));
}

TEST_P(ddl_truncate, of_all_that_a_partition_is_of_says_it_once) {
    fill();
    legacy("TRUNCATE parted");
    legacy("TRUNCATE \"Ha'shed 0\", \"Ha'shed\", \"Ha'shed 1\"");
    expect_equal();
    EXPECT_EQ(seen(), table{});
    // What the one has silenced is not what the next one does.
    legacy(
        "BEGIN; TRUNCATE parted; INSERT INTO parted SELECT n, 1 + n % 2, 'x' FROM generate_series(0, 199) n;"
        "TRUNCATE parted_2; INSERT INTO parted VALUES (1, 2, 'x'); TRUNCATE parted_2_low; COMMIT");
    expect_equal();
    EXPECT_EQ(modern("SELECT count(*) FROM parted WHERE part = 2"), "0");
    EXPECT_EQ(modern("SELECT count(*) FROM parted WHERE part = 1"), "100");
    EXPECT_EQ(seen().size(), 2U);
}

// Its rows are removed, wherever they are, and whoever refers to others.
TEST_P(ddl_truncate, is_done_where_the_table_has_no_such_partition) {
    world_->modern.exec(
        "DROP TABLE public.parted; CREATE TABLE public.parted (id int, part int, note text, PRIMARY KEY (id, part));"
        "DROP TABLE public.\"Ha'shed 0\", public.\"Ha'shed 1\";"
        "CREATE TABLE public.whole PARTITION OF public.\"Ha'shed\" FOR VALUES WITH (MODULUS 1, REMAINDER 0)");
    fill();
    expect_same_rows();
    legacy("TRUNCATE parted_2_rest; TRUNCATE \"Ha'shed 1\"");
    expect_same_rows();
    EXPECT_EQ(modern("SELECT count(*) || ' ' || max(id) FILTER (WHERE part = 2) FROM parted"), "150 99");
    EXPECT_EQ(seen(),
              (table{{"TRUNCATE TABLE", "public.parted", "passed"}, {"TRUNCATE TABLE", "public.Ha'shed", "passed"}}));
}

TEST_P(ddl_truncate, of_a_partition_that_others_refer_to) {
    legacy(
        "INSERT INTO owner SELECT n, 1 + n % 2 FROM generate_series(0, 9) n; INSERT INTO kin VALUES (1, 0, 1), (2, 1, "
        "2)");
    legacy("TRUNCATE owner_1 CASCADE; INSERT INTO kin VALUES (3, 1, 2)");
    expect_equal();
    EXPECT_EQ(modern("SELECT count(*) FROM owner"), "5");
    EXPECT_EQ(modern("SELECT string_agg(id::text, ',') FROM kin"), "3");
    EXPECT_EQ(seen(), (table{{"TRUNCATE TABLE", "public.owner", "passed"}}));
}

TEST_P(ddl_truncate, of_partitions_that_come_later) {
    for (const char* const sql :
         {"CREATE TABLE public.parted_3 PARTITION OF public.parted FOR VALUES IN (3)",
          "CREATE TABLE public.parted_4 (part int NOT NULL, id int NOT NULL, note text) PARTITION BY RANGE (id)",
          "CREATE TABLE public.parted_4_all PARTITION OF public.parted_4 DEFAULT",
          "ALTER TABLE public.parted ATTACH PARTITION public.parted_4 FOR VALUES IN (4)"}) {
        world_->modern.exec(sql);
        legacy(sql);
    }
    legacy("INSERT INTO parted SELECT n, 3 + n % 2, 'x' FROM generate_series(1, 40) n");
    expect_equal();
    // Another tool's, too.
    legacy("SET session_replication_role = replica; TRUNCATE parted_3");
    legacy("TRUNCATE parted_4_all");
    expect_equal();
    EXPECT_EQ(modern("SELECT count(*) FROM parted"), "0");
    // Of none that has left, or that nobody carries.
    legacy(
        "ALTER TABLE parted DETACH PARTITION parted_3; TRUNCATE parted_3; CREATE TABLE public.alone (id int) "
        "PARTITION BY"
        " LIST (id); CREATE TABLE public.alone_1 PARTITION OF alone DEFAULT; TRUNCATE alone_1");
    legacy("INSERT INTO parted VALUES (1, 1, 'x')");
    expect_equal();
    EXPECT_EQ(modern("SELECT count(*) FROM crossfade.ddl WHERE command = 'TRUNCATE TABLE'"), "2");
}

TEST_P(ddl_truncate, that_modern_can_not_do_holds_the_table_until_it_is_copied) {
    // Nothing says there which rows those are.
    world_->modern.exec(
        "DROP TABLE public.\"Ha'shed\"; CREATE TABLE public.\"Ha'shed\" (id int PRIMARY KEY, note text)");
    fill();
    expect_same_rows();
    legacy("TRUNCATE \"Ha'shed 1\"");
    legacy("INSERT INTO \"Ha'shed\" VALUES (1000, 'x'); INSERT INTO parted VALUES (1000, 1, 'x')");
    ASSERT_TRUE(support::eventually(20s, [&] { return modern("SELECT count(*) FROM parted WHERE id = 1000") == "1"; }))
        << world_->logs();
    EXPECT_EQ(seen(), (table{{"TRUNCATE TABLE", "public.Ha'shed", "paused"}}));
    EXPECT_EQ(modern("SELECT count(*) FROM \"Ha'shed\""), "200");
    const auto paused = world_->crossfade({"ddl", "list", "--paused"});
    EXPECT_EQ(paused.exit_code, 1);
    EXPECT_THAT(paused.output, AllOf(HasSubstr("public.Ha'shed"), HasSubstr("copy it again")));
    const auto copied = world_->crossfade({"backfill", "--tables", "public.Ha'shed"});
    EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors << world_->logs();
    expect_same_rows();
    EXPECT_EQ(world_->crossfade({"ddl", "list", "--paused"}).exit_code, 0);
}

// A change that waits was about rows that may be among those.
TEST_P(ddl_truncate, waits_behind_changes_that_wait) {
    fill();
    expect_equal();
    world_->modern.exec("ALTER TABLE public.parted ADD CONSTRAINT short CHECK (length(note) < 5) NOT VALID");
    legacy("UPDATE parted SET note = 'too long' WHERE id = 2");
    legacy("TRUNCATE parted_1; INSERT INTO \"Ha'shed\" VALUES (1000, 'x')");
    ASSERT_TRUE(support::eventually(20s, [&] {
        return modern("SELECT count(*) FROM \"Ha'shed\" WHERE id = 1000") == "1";
    })) << world_->logs();
    EXPECT_EQ(seen(), (table{{"TRUNCATE TABLE", "public.parted", "paused"}}));
    EXPECT_EQ(modern("SELECT count(*) FROM parted WHERE part = 1"), "100");
}

TEST_P(ddl_truncate, is_missed_where_somebody_has_switched_it_off_and_check_says_so) {
    const auto said = [&] { return world_->crossfade({"check"}).output; };
    EXPECT_THAT(said(), Not(HasSubstr("by its own name")));
    legacy("ALTER TABLE parted_1 DISABLE TRIGGER ALL; DROP TRIGGER crossfade_truncate ON parted_2_low");
    EXPECT_THAT(said(), AllOf(HasSubstr("parted_1"), HasSubstr("parted_2_low"), HasSubstr("crossfade init")));
    const auto again = world_->crossfade({"init"});
    EXPECT_EQ(again.exit_code, 0) << again.output << again.errors;
    EXPECT_THAT(again.output, HasSubstr("2 tables"));
    EXPECT_THAT(said(), Not(HasSubstr("by its own name")));
    fill();
    legacy("TRUNCATE parted_1; TRUNCATE parted_2_low");
    expect_equal();
    EXPECT_EQ(modern("SELECT count(*) FROM parted"), "50");
}

// It has locked the partition, and gives way with all that it has done.
TEST_P(ddl_truncate, keeps_nobody_waiting_for_a_row_that_others_hold) {
    fill();
    expect_equal();
    auto holder = pgclient::connection::open(world_->modern.dsn(), {}).value();
    holder.exec("BEGIN; SELECT FROM public.parted_2 WHERE id = 1 FOR UPDATE").value();
    legacy("BEGIN; TRUNCATE parted_1; UPDATE parted SET note = 'y' WHERE id = 1; COMMIT");
    ASSERT_TRUE(support::eventually(20s, [&] {
        return modern("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted") == "t";
    })) << world_->logs();
    auto reader = pgclient::connection::open(world_->modern.dsn(), {}).value();
    reader.exec("SET statement_timeout = '5s'").value();
    EXPECT_TRUE(reader.exec("SELECT count(*) FROM public.parted_1"));
    holder.exec("COMMIT").value();
    expect_equal();
    EXPECT_EQ(modern("SELECT count(*) FROM parted WHERE part = 1"), "0");
}

// Whoever is killed where.
TEST_P(ddl_truncate, is_done_once) {
    for (const char* const at : {"ddl.done", "apply.written", "apply.committed"}) {
        SCOPED_TRACE(at);
        world_->cdc.stop();
        world_->cdc.start({{"CROSSFADE_FAILPOINT", at}});
        legacy(
            "INSERT INTO parted VALUES (1, 1, 'before') ON CONFLICT DO NOTHING; TRUNCATE parted_1;"
            "INSERT INTO parted VALUES (1, 1, 'after')");
        ASSERT_TRUE(support::eventually(30s, [&] { return !world_->cdc.running(); })) << "it was not killed";
        world_->cdc.start();
        expect_equal();
    }
    EXPECT_EQ(modern("SELECT count(*) FROM crossfade.ddl"), "3");
}

INSTANTIATE_TEST_SUITE_P(postgres, ddl_truncate, testing::Values(15, 18),
                         [](const auto& version) { return "pg" + std::to_string(version.param); });

}  // namespace
}  // namespace crossfade
