// `crossfade backfill --live`, without load: what it takes, what it says, and what it waits for. Under load and under
// fire: tests/chaos/live_backfill_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "lib/pgclient/connection.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

// More than three chunks of each that can be copied by chunks.
constexpr const char* schema = R"sql(
    CREATE EXTENSION citext;
    CREATE DOMAIN handle AS citext;
    CREATE TABLE by_name (name citext PRIMARY KEY);
    CREATE TABLE by_names (part int, name handle, note text, PRIMARY KEY (part, name));
    ALTER TABLE by_names ALTER note SET STORAGE EXTERNAL;
    CREATE TABLE numbers (id int PRIMARY KEY, what text);
    CREATE TABLE "Odd Names" ("Key, one" text, "k\2" numeric, "a ""value""" text, PRIMARY KEY ("k\2", "Key, one"));
    CREATE TABLE moments (at timestamptz, who uuid, note varchar(20), PRIMARY KEY (who, at));
    CREATE TABLE made (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
    CREATE TABLE owner (id int PRIMARY KEY);
    CREATE TABLE owned (id int PRIMARY KEY, owner int REFERENCES owner);
    CREATE TABLE parted (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
    CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
    CREATE TABLE keyless (what text, amount int);
    CREATE TABLE by_index (code text NOT NULL, v int);
    CREATE UNIQUE INDEX by_index_code ON by_index (code);
    ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code;
    CREATE TABLE nothing_in_it (id int PRIMARY KEY);
    CREATE TABLE by_code (id int PRIMARY KEY, code text NOT NULL UNIQUE);
    ALTER TABLE by_code REPLICA IDENTITY USING INDEX by_code_code_key;
)sql";
constexpr const char* rows = R"sql(
    INSERT INTO numbers SELECT n, 'tab' || chr(9) || 'and' || chr(10) || n FROM generate_series(-2000, 2000) n;
    INSERT INTO "Odd Names" SELECT md5(n::text) || E'\t\\"{}, ä', n / 7.0, 'v' FROM generate_series(1, 4000) n;
    INSERT INTO moments SELECT timestamptz '2026-01-01' + n * interval '1 s', md5((n % 9)::text)::uuid, n
        FROM generate_series(1, 4000) n;
    INSERT INTO made (a) SELECT n FROM generate_series(1, 4000) n;
    INSERT INTO owner SELECT generate_series(1, 10);
    INSERT INTO owned SELECT n, n % 10 + 1 FROM generate_series(1, 4000) n;
    INSERT INTO parted SELECT n, n % 2 + 1 FROM generate_series(1, 4000) n;
    INSERT INTO keyless SELECT 'twice', n / 2 FROM generate_series(1, 4000) n;
    INSERT INTO by_code SELECT n, 'code ' || n FROM generate_series(1, 4000) n;
    INSERT INTO by_index SELECT 'code ' || n, n FROM generate_series(1, 4000) n;
    INSERT INTO by_name SELECT CASE WHEN n % 7 = 0 THEN 'A' ELSE 'a' END || lpad(n::text, 5, '0')
        FROM generate_series(1, 4000) n;
    INSERT INTO by_names SELECT n / 1500, CASE WHEN n % 7 = 0 THEN 'A' ELSE 'a' END || lpad(n::text, 5, '0'),
        CASE WHEN n > 3990 THEN repeat('long', 1000) END FROM generate_series(1, 4000) n;
)sql";

class live_backfill : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
        world_ = std::make_unique<chaos::landscape>(chaos::landscape_options{.schema = schema, .rows = rows});
    }
    static void TearDownTestSuite() { world_.reset(); }

    static chaos::landscape& world() { return *world_; }
    static support::finished copy(std::vector<std::string> more) {
        more.insert(more.begin(), {"backfill", "--live"});
        return world().crossfade(std::move(more));
    }
    static std::string state(const std::string& table) {
        return world().modern.value("SELECT state FROM crossfade.backfills WHERE table_name = 'public." + table + "'");
    }
    static bool reaches(const std::string& table, const std::string& wanted) {
        return support::eventually(20s, [&] { return state(table) == wanted; });
    }

    // Begun anew, a part of it there, and in no hurry.
    static void begin_slowly(const std::string& table) {
        ASSERT_EQ(copy({"--again", "--detach", "--max-rate", "1kB", "--tables", "public." + table}).exit_code, 0);
        ASSERT_TRUE(support::eventually(20s, [&] {
            return world().modern.value("SELECT count(*) FROM crossfade.backfills WHERE table_name = 'public." + table +
                                        "' AND state = 'copying' AND copied_rows > 0") == "1";
        }));
    }

    static inline std::unique_ptr<chaos::landscape> world_;
};

// The stream tells rows by another key than the primary one, and says nothing of what that was.
TEST_F(live_backfill, goes_by_the_key_by_which_the_stream_knows_rows) {
    begin_slowly("by_code");
    world().legacy.exec(
        "UPDATE by_code SET id = id - 5000 WHERE id > 3900; UPDATE by_code SET id = 9000 - id WHERE id < 99");
    EXPECT_EQ(copy({"--tables", "public.by_code"}).exit_code, 0);
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

// Rows that were copied already have none of what legacy computed.
TEST_F(live_backfill, begins_anew_when_legacy_has_computed_rows_meanwhile) {
    world().modern.exec("ALTER TABLE numbers ADD COLUMN token uuid");
    begin_slowly("numbers");
    world().legacy.exec("ALTER TABLE numbers ADD COLUMN token uuid DEFAULT gen_random_uuid()");
    EXPECT_TRUE(support::eventually(20s, [&] {
        return world().modern.value(
                   "SELECT count(*) FROM crossfade.ddl WHERE advice = 'the table''s copy begins anew'") == "1";
    })) << world().logs();
    EXPECT_EQ(copy({"--tables", "public.numbers"}).exit_code, 0);
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

// Or a replay would go over what came since.
TEST_F(live_backfill, leaves_no_dead_letters_of_what_modern_could_not_take_meanwhile) {
    begin_slowly("numbers");
    world().legacy.exec(
        "ALTER TABLE numbers ADD COLUMN lacking int; UPDATE numbers SET lacking = 1, what = 'first' WHERE id = -2000");
    ASSERT_TRUE(support::eventually(20s, [&] { return state("numbers") == "asked"; })) << world().logs();
    world().modern.exec("ALTER TABLE numbers ADD COLUMN lacking int");
    world().legacy.exec("UPDATE numbers SET what = 'second' WHERE id = -2000");
    EXPECT_EQ(copy({"--tables", "public.numbers"}).exit_code, 0);
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().modern.value("SELECT count(*) FROM crossfade.dead_letters WHERE operation <> 'ddl'"), "0");
    EXPECT_EQ(world().complaints(), "");
}

TEST_F(live_backfill, copies_tables_of_every_kind) {
    // What is there must not matter: a row that is missing, one that differs, one too many.
    world().modern.exec(
        "DELETE FROM numbers WHERE id % 3 = 0; UPDATE moments SET note = 'wrong'; INSERT INTO keyless VALUES ('x', 1);"
        "SET session_replication_role = replica; DELETE FROM owner WHERE id = 3; DELETE FROM by_index");
    const auto copied = copy({"--again"});
    EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors << world().logs();
    EXPECT_THAT(copied.output, AllOf(HasSubstr("complete: 13 tables"), HasSubstr("public.Odd Names      4,000")));
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
    EXPECT_EQ(world().modern.value("SELECT count(*) FROM crossfade.refetch"), "0");
    EXPECT_EQ(world().modern.value("SELECT string_agg(DISTINCT state, ',') FROM crossfade.tables"), "live");

    // From now on every change counts again.
    world().modern.exec("DELETE FROM numbers WHERE id = 7");
    world().legacy.exec("UPDATE numbers SET what = 'now' WHERE id = 7");
    EXPECT_TRUE(support::eventually(20s, [&] {
        return world().modern.value(
                   "SELECT count(*) FROM crossfade.drift WHERE key->>'id' = '7' AND kind = 'update_missing'") == "1";
    })) << world().logs();

    // And is left as it is unless it is asked for again.
    const auto left = copy({"--tables", "public.n*"});
    EXPECT_EQ(left.exit_code, 0);
    EXPECT_THAT(left.output, HasSubstr("2 tables are copied already"));

    // A stream that begins anew has all of them copied.
    EXPECT_EQ(copy({"--resync", "--tables", "public.n*"}).exit_code, 2);
    const auto anew = copy({"--resync"});
    EXPECT_EQ(anew.exit_code, 0) << anew.output << anew.errors << world().logs();
    EXPECT_THAT(anew.output, HasSubstr("complete: 13 tables"));
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().modern.value("SELECT string_agg(DISTINCT state, ',') FROM crossfade.tables"), "live");
    EXPECT_EQ(world().modern.value("SELECT string_agg(DISTINCT state, ',') FROM crossfade.drift"), "repaired");
}

TEST_F(live_backfill, stands_still_at_a_row_that_modern_refuses_and_goes_on_when_it_is_mended) {
    world().modern.exec("ALTER TABLE numbers ADD CONSTRAINT few CHECK (id < 1500) NOT VALID");
    const auto held = copy({"--again", "--tables", "public.numbers", "--tables", "public.made"});
    EXPECT_EQ(held.exit_code, 1);
    EXPECT_THAT(held.output, AllOf(HasSubstr("stands still"), HasSubstr("constraint few")));
    EXPECT_EQ(state("made"), "done") << "another table waited for it";
    EXPECT_THAT(world().crossfade({"status"}).output, HasSubstr("the backfill of public.numbers stands still"));
    const auto copied = world().modern.value("SELECT copied_rows FROM crossfade.backfills WHERE state = 'copying'");
    EXPECT_GT(std::stoi(copied), 0) << "the chunks before it are kept";

    // The stream is not held.
    world().legacy.exec("INSERT INTO owner VALUES (11); UPDATE numbers SET what = 'while it stands still'");
    EXPECT_TRUE(support::eventually(
        20s, [&] { return world().modern.value("SELECT count(*) FROM owner WHERE id = 11") == "1"; }));

    world().modern.exec("ALTER TABLE numbers DROP CONSTRAINT few");
    const auto mended = copy({});
    EXPECT_EQ(mended.exit_code, 0) << mended.output << mended.errors;
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

TEST_F(live_backfill, is_not_complete_when_another_copy_has_taken_its_table) {
    begin_slowly("numbers");
    const std::string asked = "SELECT count(*) FROM crossfade.audit WHERE action = 'backfill live'";
    const auto before = world().modern.value(asked);
    auto watching = std::async(std::launch::async, [] {
        return copy({"--max-rate", "1kB", "--tables", "public.numbers", "--tables", "public.made"});
    });
    ASSERT_TRUE(support::eventually(20s, [&] { return world().modern.value(asked) != before; }));
    const auto other = world().crossfade({"backfill", "--tables", "public.numbers"});
    EXPECT_EQ(other.exit_code, 0) << other.output << other.errors;
    const auto told = watching.get();
    EXPECT_EQ(told.exit_code, 1) << told.output << told.errors;
    EXPECT_THAT(told.output, AllOf(HasSubstr("public.numbers"), HasSubstr("no longer asked for"),
                                   HasSubstr("1 tables are copied already")));
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

TEST_F(live_backfill, pauses_and_goes_on) {
    EXPECT_EQ(copy({"--again", "--detach", "--max-rate", "100kB", "--tables", "public.Odd*"}).exit_code, 0);
    ASSERT_TRUE(reaches("Odd Names", "copying"));
    EXPECT_THAT(world().crossfade({"backfill", "--pause"}).output, HasSubstr("1 tables stand still"));
    world().cdc.kill9();
    world().cdc.start();
    ASSERT_TRUE(world().cdc.wait_ready());
    world().legacy.exec("UPDATE \"Odd Names\" SET \"Key, one\" = 'moved ' || \"Key, one\" WHERE \"k\\2\" < 50");
    EXPECT_EQ(state("Odd Names"), "copying");
    const auto gone_on = copy({});
    EXPECT_EQ(gone_on.exit_code, 0) << gone_on.output << gone_on.errors;
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

// One that was applied could be missing in a snapshot of now: its commit is in the WAL before it is seen.
TEST_F(live_backfill, waits_for_transactions_that_began_before_it) {
    auto open = pgclient::connection::open(world().legacy.dsn(), {}).value();
    ASSERT_TRUE(open.exec("BEGIN; UPDATE public.numbers SET what = 'open' WHERE id = 1"));
    EXPECT_EQ(copy({"--again", "--detach", "--tables", "public.numbers"}).exit_code, 0);
    ASSERT_TRUE(reaches("numbers", "copying"));
    EXPECT_TRUE(support::eventually(20s, [&] {
        return world().cdc.log().find("public.numbers: waits for transactions on legacy") != std::string::npos;
    }));
    EXPECT_EQ(world().modern.value("SELECT count(*) FROM numbers"), "0");
    ASSERT_TRUE(open.exec("COMMIT"));
    EXPECT_TRUE(reaches("numbers", "done"));
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

// A value that is not in the WAL can't come from a row that may be another one.
TEST_F(live_backfill, fetches_rows_of_which_the_stream_does_not_say_all) {
    world().legacy.exec(
        "ALTER TABLE numbers ALTER what SET STORAGE EXTERNAL;"
        "UPDATE numbers SET what = repeat('long', 1000) WHERE id > 1900");
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(copy({"--again", "--detach", "--max-rate", "1kB", "--tables", "public.numbers"}).exit_code, 0);
    ASSERT_TRUE(support::eventually(20s, [&] {
        return world().modern.value(
                   "SELECT count(*) FROM crossfade.backfills WHERE state = 'copying' AND copied_rows > 0") == "1";
    }));
    // From where nothing is copied to where everything is, and on to where nothing is.
    world().legacy.exec(
        "UPDATE numbers SET id = id - 5000 WHERE id > 1900; UPDATE numbers SET id = id + 9000 WHERE id < -3050");
    EXPECT_TRUE(support::eventually(
        20s, [&] { return world().modern.value("SELECT count(*) > 0 FROM crossfade.refetch") == "t"; }));
    const auto gone_on = copy({"--tables", "public.numbers"});
    EXPECT_EQ(gone_on.exit_code, 0) << gone_on.output << gone_on.errors;
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

// citext has operators of its own, which mind no case, and is coerced to text, whose operators do.
TEST_F(live_backfill, goes_by_the_order_of_the_key_s_own_type) {
    const auto copied = copy({"--again", "--tables", "public.by_name"});
    EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors;
    begin_slowly("by_names");
    world().legacy.exec("UPDATE by_names SET name = 'B' || name WHERE note <> ''; DELETE FROM by_names WHERE part = 1");
    EXPECT_TRUE(support::eventually(
        20s, [&] { return world().modern.value("SELECT count(*) > 0 FROM crossfade.refetch") == "t"; }));
    EXPECT_EQ(copy({"--tables", "public.by_names"}).exit_code, 0);
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

// The stream has brought a row before its chunk, and no index of modern says so.
TEST_F(live_backfill, writes_no_row_twice_where_modern_lacks_the_key) {
    world().modern.exec("DROP INDEX by_index_code");
    begin_slowly("by_index");
    world().legacy.exec("INSERT INTO by_index VALUES ('code zz', 1); UPDATE by_index SET v = -v WHERE v > 3900");
    EXPECT_TRUE(support::eventually(
        20s, [&] { return world().modern.value("SELECT count(*) FROM by_index WHERE code = 'code zz'") == "1"; }));
    EXPECT_EQ(copy({"--tables", "public.by_index"}).exit_code, 0);
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

// What came behind it would not wait for its dead letter, whose replay would remove it.
TEST_F(live_backfill, begins_anew_where_modern_refuses_a_truncate) {
    world().modern.exec("CREATE TABLE of_modern (n int REFERENCES numbers)");
    begin_slowly("numbers");
    world().legacy.exec(
        "TRUNCATE numbers; INSERT INTO numbers (id, what) SELECT n, 'anew' FROM generate_series(1, 9) n");
    EXPECT_TRUE(support::eventually(20s, [&] {
        return world().modern.value("SELECT count(*) FROM numbers WHERE what = 'anew'") == "9";
    })) << world().logs();
    EXPECT_EQ(copy({"--tables", "public.numbers"}).exit_code, 0);
    EXPECT_EQ(world().settle(20s), "");
    world().modern.exec("DROP TABLE of_modern");
    world().crossfade({"deadletters", "replay", "--all"});
    world().legacy.exec("INSERT INTO numbers (id, what) VALUES (10, 'anew')");
    EXPECT_EQ(world().settle(20s), "");
    EXPECT_EQ(world().complaints(), "");
}

}  // namespace
}  // namespace crossfade
