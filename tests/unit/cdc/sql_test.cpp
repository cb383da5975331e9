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
    EXPECT_EQ(
        got[0].sql,
        "UPDATE \"public\".\"t\" AS t SET \"id\" = t.\"id\" FROM unnest($1::bigint[]) AS s(c1) WHERE t.\"id\" = s.c1");
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
