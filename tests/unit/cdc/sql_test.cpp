#include "cdc/apply/sql.hpp"

#include <gtest/gtest.h>

#include "cdc/apply/fault.hpp"

namespace crossfade::cdc::apply {
namespace {

struct fixture : testing::Test {
    std::shared_ptr<table_mapping> mapping = std::make_shared<table_mapping>();
    model::row_change change;
    net_row row;
    segment part;

    fixture() {
        auto rel = std::make_shared<model::relation>();
        rel->table = mapping->target = {"public", "t"};
        rel->columns = {{"id", 20, -1, true}, {"tags", 1009, -1, false}};
        mapping->rel = rel;
        target_column id;
        id.name = "id";
        id.type = "bigint";
        id.array_type = "bigint[]";
        target_column tags;
        tags.name = "tags";
        tags.type = "text[]";
        mapping->columns = {{0, id}, {1, tags}};
        mapping->key = {0};
        change.rel = rel;
        change.after = {{model::cell_kind::text, "7"}, {model::cell_kind::text, "{a}"}};
        row.key = {&change.after[0]};
        row.values = {&change.after[0], &change.after[1]};
        row.exists = true;
    }
    std::vector<statement> made(bool existed) {
        row.existed = existed;
        part.tables = {{mapping, {net_step{{row}}}}};
        return many(part, origins, {});
    }
    std::optional<origin_check> origins;
};

TEST_F(fixture, inserts_with_arrays_as_text_elements) {
    const auto got = made(false);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].sql,
              "INSERT INTO \"public\".\"t\" (\"id\", \"tags\") OVERRIDING SYSTEM VALUE SELECT s.c1, s.c2::text[] FROM "
              "unnest($1::bigint[], $2::text[]) AS s(c1, c2)");
    EXPECT_EQ(got[0].parameters, (std::vector<sql_parameter>{"{7}", "{\"{a}\"}"}));
    EXPECT_EQ(got[0].expected, 1);
}

TEST_F(fixture, many_new_rows_are_copied) {
    const model::cell null;
    auto other = row;
    other.values[1] = &null;
    part.tables = {{mapping, {net_step{{row, other, row}}}}};
    const auto got = many(part, origins, {.copied = 3});
    ASSERT_EQ(got.size(), 1U);
    EXPECT_TRUE(got[0].copy);
    EXPECT_EQ(got[0].sql, "COPY \"public\".\"t\" (\"id\", \"tags\") FROM STDIN");
    EXPECT_EQ(got[0].parameters, (std::vector<sql_parameter>{"7\t{a}\n7\t\\N\n7\t{a}\n"}));
    EXPECT_EQ(got[0].expected, 3);
    EXPECT_EQ(many(part, origins, {.bytes = 1, .copied = 3}).size(), 3U);
    EXPECT_FALSE(many(part, origins, {.copied = 4})[0].copy);
}

TEST_F(fixture, where_row_security_is_in_force_nothing_is_copied) {
    mapping->copyable = false;
    part.tables = {{mapping, {net_step{{row, row, row}}}}};
    EXPECT_FALSE(many(part, origins, {.copied = 3})[0].copy);
}

TEST_F(fixture, updates_leave_unchanged_values_alone) {
    row.values[1] = nullptr;
    const auto got = made(true);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].sql,
              "UPDATE ONLY \"public\".\"t\" AS t SET \"id\" = t.\"id\" FROM unnest($1::bigint[]) AS s(c1) WHERE "
              "t.\"id\" = s.c1");
}

TEST_F(fixture, a_row_that_came_and_went_must_not_be_there) {
    row.exists = false;
    const auto got = made(false);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].expected, 0);
}

TEST_F(fixture, checks_the_origin_where_it_can) {
    origins = origin_check{"{1}", "2026-01-01"};
    EXPECT_NE(made(true)[0].sql.find("pg_xact_commit_timestamp_origin"), std::string::npos);
}

TEST_F(fixture, cuts_by_rows_and_bytes) {
    part.tables = {{mapping, {net_step{std::vector<net_row>(1001, row)}}}};
    EXPECT_EQ(many(part, origins, {.copied = 5000}).size(), 3U);
    EXPECT_EQ(many(part, origins, {500, 1, 5000}).size(), 1001U);
}

// Rows that a proxy has written: nothing is written, and who else wrote them doesn't matter.
TEST_F(fixture, mirrored_rows_are_looked_at) {
    origins = origin_check{"{1}", "2026-01-01"};
    row.mirrored = -5;
    const auto got = made(true);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_TRUE(got[0].checks);
    EXPECT_EQ(got[0].sql,
              "SELECT s.c3 FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS s(c1, c2, c3) LEFT JOIN ONLY "
              "\"public\".\"t\" AS t ON t.\"id\" = s.c2 WHERE t.\"id\" IS NULL OR t.\"tags\"::text IS DISTINCT "
              "FROM (s.c1::text[])::text");
    EXPECT_EQ(got[0].parameters, (std::vector<sql_parameter>{"{\"{a}\"}", "{7}", "{-5}"}));
    EXPECT_EQ(got[0].expected, std::nullopt);
}

// What ties is the stream's affair whoever has written the rest, and is written where it has to be.
TEST_F(fixture, ties_are_written_before_mirrored_rows_are_looked_at) {
    const std::string tie =
        "UPDATE ONLY \"public\".\"t\" AS t SET \"tags\" = s.c1::text[] FROM unnest($1::text[], $2::bigint[]) AS s(c1, "
        "c2)"
        " WHERE t.\"id\" = s.c2 AND (t.\"tags\"::text IS DISTINCT FROM (s.c1::text[])::text)";
    mapping->tied_columns = {1};
    row.mirrored = -5;
    auto got = made(true);
    ASSERT_EQ(got.size(), 2U);
    EXPECT_EQ(got[0].sql, tie);
    EXPECT_EQ(got[0].parameters, (std::vector<sql_parameter>{"{\"{a}\"}", "{7}"}));
    EXPECT_EQ(got[0].expected, std::nullopt) << "it may be gone by now";
    EXPECT_TRUE(got[1].checks);

    row.mirrored.reset();
    row.ahead = true;
    row.values[0] = nullptr;
    got = made(true);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].sql, tie);
    row.values[1] = nullptr;
    EXPECT_TRUE(made(true).empty());
}

TEST_F(fixture, a_tie_of_one_row) {
    EXPECT_FALSE(tie_one(*mapping, change));
    mapping->tied_columns = {1};
    const auto got = tie_one(*mapping, change);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->sql,
              "UPDATE ONLY \"public\".\"t\" AS t SET \"tags\" = $1::text[] WHERE t.\"id\" = $2::bigint AND "
              "(t.\"tags\"::text IS DISTINCT FROM ($1::text[])::text)");
    EXPECT_EQ(got->expected, std::nullopt);
    change.after[1].kind = model::cell_kind::unchanged;
    EXPECT_FALSE(tie_one(*mapping, change));
}

TEST_F(fixture, of_mirrored_rows_what_is_not_known_is_not_looked_at) {
    row.mirrored = -5;
    row.values[1] = nullptr;
    EXPECT_EQ(
        made(true)[0].sql,
        "SELECT s.c2 FROM unnest($1::bigint[], $2::bigint[]) AS s(c1, c2) LEFT JOIN ONLY \"public\".\"t\" AS t ON "
        "t.\"id\" = s.c1 WHERE t.\"id\" IS NULL");
}

TEST_F(fixture, mirrored_rows_that_are_gone_must_not_be_there) {
    row.mirrored = -5;
    row.exists = false;
    const auto got = made(false);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_TRUE(got[0].checks);
    EXPECT_EQ(got[0].sql,
              "SELECT s.c2 FROM unnest($1::bigint[], $2::bigint[]) AS s(c1, c2) JOIN ONLY \"public\".\"t\" AS t ON "
              "t.\"id\" = s.c1");
}

// A table that is copied beside the stream: docs/adr/0014.
struct copied_beside : fixture {
    const model::cell unchanged{model::cell_kind::unchanged, {}};

    copied_beside() {
        change.operation = model::row_operation::update;
        change.before_kind = model::before_image::key;
        change.before = {{model::cell_kind::text, "6"}, {}};
    }
    // Their verbs and tables.
    static std::string outline(const std::vector<statement>& of) {
        std::string text;
        for (const auto& each : of) {
            text += (text.empty() ? "" : "; ") + each.sql.substr(0, each.sql.find(' '));
            if (each.sql.find("crossfade.refetch") != std::string::npos) text += " refetch";
            if (each.sql.find("WHERE EXISTS") != std::string::npos) text += " if noted";
            EXPECT_TRUE(!each.expected || each.sql.starts_with("INSERT INTO \"")) << "others may be gone, or there";
        }
        return text;
    }
    std::string alone(strictness how) { return outline(copy_over_one(*mapping, change, how, "app")); }
};

TEST_F(copied_beside, new_rows_take_the_place_of_what_is_there) {
    const auto absent = net_row{true, false, row.key, {}, nullptr};
    part.tables = {{mapping, {net_step{{row, absent}}}, strictness::copied_over}};
    const auto got = many(part, origin_check{"{1}", "2026-01-01"}, {}, "app");
    EXPECT_EQ(outline(got), "DELETE; INSERT");
    EXPECT_EQ(got[0].parameters, (std::vector<sql_parameter>{"{7,7}"}));
    EXPECT_EQ(got[0].sql.find("origin"), std::string::npos) << "whoever wrote what is there";
}

// Or every chunk that comes later would find rows in its way.
TEST_F(copied_beside, other_rows_are_touched_if_they_are_there) {
    row.existed = true;
    part.tables = {{mapping, {net_step{{row}}}, strictness::copied_over}};
    EXPECT_EQ(outline(many(part, {}, {}, "app")), "UPDATE");
    change.before_kind = model::before_image::absent;
    EXPECT_EQ(alone(strictness::copied_over), "UPDATE");
    change.operation = model::row_operation::insert;
    EXPECT_EQ(alone(strictness::copied_over), "DELETE; INSERT");
}

TEST_F(copied_beside, a_whole_row_moves_as_it_is) {
    EXPECT_EQ(alone(strictness::copied_over), "DELETE; DELETE; INSERT");
    EXPECT_EQ(alone(strictness::settling), "DELETE; DELETE; INSERT");
}

TEST_F(copied_beside, of_a_row_that_moves_the_rest_is_fetched) {
    change.after[1] = unchanged;
    const auto made = copy_over_one(*mapping, change, strictness::copied_over, "app");
    EXPECT_EQ(outline(made), "DELETE; DELETE; INSERT refetch");
    EXPECT_EQ(made[0].parameters, (std::vector<sql_parameter>{"6"}));
    EXPECT_EQ(made[1].parameters, (std::vector<sql_parameter>{"7"}));
    EXPECT_EQ(made[2].parameters, (std::vector<sql_parameter>{"app", "public.t", "{7}"}));
}

TEST_F(copied_beside, once_all_is_copied_it_moves_in_place_unless_it_was_fetched) {
    change.after[1] = unchanged;
    const auto made = copy_over_one(*mapping, change, strictness::settling, "app");
    EXPECT_EQ(outline(made), "DELETE; UPDATE; INSERT refetch if noted");
    EXPECT_EQ(made[2].parameters, (std::vector<sql_parameter>{"app", "public.t", "{7}", "{6}"}));
}

TEST_F(copied_beside, the_old_row_has_the_rest_where_the_change_says_so) {
    change.after[1] = unchanged;
    change.before_kind = model::before_image::whole;
    change.before[1] = {model::cell_kind::text, "{b}"};
    EXPECT_EQ(alone(strictness::copied_over), "DELETE; DELETE; INSERT");
}

TEST(fault, tells_rows_from_followers) {
    for (const char* state : {"22P02", "23505", "42703", "42P01", "P0001"}) {
        EXPECT_TRUE(is_row_fault({state, "", "", "", ""})) << state;
    }
    for (const char* state : {"08006", "40P01", "42501", "53100", "55P03", "57014", "XX000", "25006"}) {
        EXPECT_FALSE(is_row_fault({state, "", "", "", ""})) << state;
    }
}

}  // namespace
}  // namespace crossfade::cdc::apply
