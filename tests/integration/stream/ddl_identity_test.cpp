// Partitions that come later, of tables whose rows are known by all of their values. PostgreSQL gives them none of
// that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/stream/ddl_world.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// `crossfade init --replica-identity-full` sees to those without a key.
constexpr const char* schema = R"sql(
    CREATE TABLE entries (part int, what text) PARTITION BY LIST (part);
    CREATE TABLE entries_1 PARTITION OF entries FOR VALUES IN (1);
    CREATE TABLE keyed (id int, part int, short text, long text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
    ALTER TABLE keyed REPLICA IDENTITY FULL, ALTER long SET STORAGE EXTERNAL;
    CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES IN (1);
    ALTER TABLE keyed_1 REPLICA IDENTITY FULL;
    CREATE TABLE others (part int, what text) PARTITION BY LIST (part);
    CREATE TABLE others_1 PARTITION OF others FOR VALUES IN (1);
    CREATE TABLE leaves (part int, what text) PARTITION BY LIST (part);
    CREATE TABLE leaves_1 PARTITION OF leaves FOR VALUES IN (1);
    ALTER TABLE leaves_1 REPLICA IDENTITY FULL;
    CREATE TABLE coded (id int, part int, code text NOT NULL, PRIMARY KEY (id, part), UNIQUE (code, part)) PARTITION BY LIST (part);
    ALTER TABLE coded REPLICA IDENTITY USING INDEX coded_code_part_key;
    CREATE TABLE plain (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
)sql";

class ddl_identity : public ddl_world {
  protected:
    ddl_identity() : ddl_world(schema) {}

    void both(const std::string& sql) {
        world_->modern.exec(sql);
        world_->legacy.exec(sql);
    }
    void legacy(const std::string& sql) { world_->legacy.exec(sql); }
    void expect_equal() {
        EXPECT_EQ(world_->settle(20s), "") << world_->logs();
        EXPECT_EQ(world_->complaints(), "") << world_->logs();
    }
    std::string with_all_values(const std::string& like) {
        return world_->legacy.value(
            "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class"
            " WHERE relkind IN ('r', 'p') AND relreplident = 'f' AND relname LIKE '" +
            like + "'");
    }
};

// The application's UPDATE and DELETE would be refused.
TEST_P(ddl_identity, is_taken_by_partitions_that_come_later) {
    both("CREATE TABLE public.entries_2 PARTITION OF public.entries FOR VALUES IN (2)");
    both(
        "CREATE TABLE public.entries_3 (what text, part int) PARTITION BY LIST (part);"
        "CREATE TABLE public.entries_3_all PARTITION OF public.entries_3 DEFAULT;"
        "ALTER TABLE public.entries ATTACH PARTITION public.entries_3 FOR VALUES IN (3)");
    // In the transaction that goes on to write it.
    const std::string fourth =
        "CREATE TABLE public.entries_4 (part int, what text);"
        "ALTER TABLE public.entries ATTACH PARTITION public.entries_4 FOR VALUES IN (4);";
    world_->modern.exec(fourth);
    legacy("BEGIN;" + fourth +
           "INSERT INTO entries VALUES (4, 'a'), (4, 'b'); UPDATE entries SET what = 'c' WHERE what = 'a';"
           "COMMIT");
    legacy("INSERT INTO entries SELECT n, w FROM generate_series(1, 3) n, unnest('{a,b}'::text[]) w");
    legacy("UPDATE entries SET what = 'c' WHERE what = 'a'");
    legacy("DELETE FROM entries WHERE what = 'b'");
    expect_equal();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM entries WHERE what = 'c'"), "4");
    EXPECT_EQ(with_all_values("entries%"), "entries entries_1 entries_2 entries_3 entries_3_all entries_4");

    // One that left, and comes back as something else; and what somebody takes away of one alone.
    both(
        "ALTER TABLE public.entries DETACH PARTITION public.entries_4;"
        "ALTER TABLE public.entries_4 REPLICA IDENTITY DEFAULT;"
        "ALTER TABLE public.entries ATTACH PARTITION public.entries_4 FOR VALUES IN (4);"
        "ALTER TABLE public.entries_2 REPLICA IDENTITY DEFAULT");
    both(
        "ALTER TABLE public.others DETACH PARTITION public.others_1;"
        "ALTER TABLE public.others_1 REPLICA IDENTITY DEFAULT;"
        "ALTER TABLE public.entries ATTACH PARTITION public.others_1 FOR VALUES IN (5)");
    legacy("INSERT INTO entries VALUES (5, 'c'); UPDATE entries SET what = 'd'");
    expect_equal();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM entries WHERE what = 'd'"), "5");
}

// With a key of its own the partition writes that alone, and the stream has it for the whole row.
TEST_P(ddl_identity, makes_old_rows_whole) {
    both("CREATE TABLE public.keyed_2 PARTITION OF public.keyed FOR VALUES IN (2)");
    legacy("INSERT INTO keyed SELECT n, 2, 'short', repeat('long', 2000) FROM generate_series(1, 3) n");
    legacy("DELETE FROM keyed WHERE id = 1");
    legacy("UPDATE keyed SET id = 20 WHERE id = 2");
    expect_equal();
    EXPECT_EQ(world_->modern.value("SELECT string_agg(id || ' ' || length(long), ',' ORDER BY id) FROM keyed"),
              "3 8000,20 8000");
    EXPECT_EQ(with_all_values("keyed%"), "keyed keyed_1 keyed_2");
}

// The whole says nothing of its own, and the partition that was there has it by hand; or it has other columns.
TEST_P(ddl_identity, is_taken_where_the_whole_has_another_one) {
    both("CREATE TABLE public.leaves_2 PARTITION OF public.leaves FOR VALUES IN (2)");
    both("CREATE TABLE public.coded_1 PARTITION OF public.coded FOR VALUES IN (1)");
    both(
        "CREATE TABLE public.coded_2 PARTITION OF public.coded FOR VALUES IN (2);"
        "ALTER TABLE public.coded_2 REPLICA IDENTITY USING INDEX coded_2_code_part_key");
    legacy("INSERT INTO leaves SELECT n, w FROM generate_series(1, 2) n, unnest('{a,b}'::text[]) w");
    legacy("UPDATE leaves SET what = 'c' WHERE what = 'a'; DELETE FROM leaves WHERE what = 'b'");
    legacy("INSERT INTO coded SELECT n, 1 + n % 2, 'code' || n FROM generate_series(1, 4) n");
    legacy("UPDATE coded SET code = 'other' || id WHERE id > 2; UPDATE coded SET id = 20 WHERE id = 2");
    legacy("DELETE FROM coded WHERE id = 3");
    expect_equal();
    EXPECT_EQ(with_all_values("coded%"), "coded_1");
}

TEST_P(ddl_identity, is_given_to_none_that_needs_none) {
    both("CREATE TABLE public.plain_1 PARTITION OF public.plain FOR VALUES IN (1)");
    both("CREATE TABLE public.alone (id int) PARTITION BY LIST (id); ALTER TABLE public.alone REPLICA IDENTITY FULL");
    both("CREATE TABLE public.alone_1 PARTITION OF public.alone DEFAULT");
    legacy("INSERT INTO plain VALUES (1, 1), (2, 1); DELETE FROM plain WHERE id = 1");
    expect_equal();
    EXPECT_EQ(with_all_values("plain%"), "");
    EXPECT_EQ(with_all_values("alone%"), "alone");
}

// Who came while nobody looked.
TEST_P(ddl_identity, is_missed_by_check_and_made_up_for_by_init) {
    const auto said = [&] { return world_->crossfade({"check"}).output; };
    EXPECT_THAT(said(), Not(HasSubstr("of their tables' replica identity")));
    legacy(
        "SET crossfade.fencing = 'on'; ALTER TABLE entries_1 REPLICA IDENTITY DEFAULT;"
        "CREATE TABLE public.keyed_2 PARTITION OF public.keyed FOR VALUES IN (2)");
    world_->modern.exec("CREATE TABLE public.keyed_2 PARTITION OF public.keyed FOR VALUES IN (2)");
    EXPECT_THAT(said(), AllOf(HasSubstr("public.entries_1"), HasSubstr("public.keyed_2"), HasSubstr("crossfade init")));
    legacy("UPDATE crossfade.ddl_streams SET policy = 'refuse'");
    const auto again = world_->crossfade({"init"});
    EXPECT_EQ(again.exit_code, 0) << again.output << again.errors;
    EXPECT_THAT(said(), Not(HasSubstr("of their tables' replica identity")));
    legacy("INSERT INTO entries VALUES (1, 'a'); UPDATE entries SET what = 'b'");
    legacy("INSERT INTO keyed VALUES (1, 2, 'short', 'long'); DELETE FROM keyed");
    expect_equal();
}

INSTANTIATE_TEST_SUITE_P(postgres, ddl_identity, testing::Values(15, 18),
                         [](const auto& version) { return "pg" + std::to_string(version.param); });

}  // namespace
}  // namespace crossfade
