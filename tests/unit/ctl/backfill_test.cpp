#include <gtest/gtest.h>

#include "ctl/backfill/display.hpp"
#include "ctl/backfill/live.hpp"
#include "ctl/backfill/plan.hpp"

namespace crossfade::ctl::backfill {
namespace {

catalog::table table_of(const std::string& name, std::int64_t bytes) {
    catalog::table made;
    made.name = {"public", name};
    made.bytes = bytes;
    made.columns = {{.name = "id", .type = "integer", .type_oid = 23},
                    {.name = "shout", .type = "text", .type_oid = 25, .generated = true}};
    return made;
}

std::vector<std::string> order_of(const plan& made) {
    std::vector<std::string> names;
    for (const auto& each : made.tasks) names.push_back(each.table.name);
    return names;
}

using names = std::vector<std::string>;

TEST(backfill_plan, leaves_generated_columns_out_and_copies_binary_where_types_are_equal) {
    auto legacy = table_of("orders", 1);
    auto modern = legacy;
    auto made = make_plan({legacy}, {modern}, {}, order::side_by_side);
    ASSERT_TRUE(made.problems.empty());
    EXPECT_EQ(made.tasks[0].columns, (std::vector<catalog::stored_column>{{"id", "integer"}}));
    EXPECT_EQ(made.tasks[0].format, copy_format::binary);

    modern.columns[0].type = "bigint";
    modern.columns[0].type_oid = 20;
    EXPECT_EQ(make_plan({legacy}, {modern}, {}, order::side_by_side).tasks[0].format, copy_format::text);
    legacy.columns[0] = modern.columns[0] = {.name = "id", .type = "public.mood", .type_oid = 20001};
    EXPECT_EQ(make_plan({legacy}, {modern}, {}, order::side_by_side).tasks[0].format, copy_format::text);
    legacy.columns[0] = modern.columns[0] = {.name = "id", .type = "regclass", .type_oid = 2205};
    EXPECT_EQ(make_plan({legacy}, {modern}, {}, order::side_by_side).tasks[0].format, copy_format::text);
}

TEST(backfill_plan, names_what_modern_lacks) {
    const auto legacy = table_of("orders", 1);
    EXPECT_EQ(make_plan({legacy}, {}, {}, order::side_by_side).problems, names{"public.orders is missing on modern"});
    auto modern = legacy;
    modern.columns[0].name = "ident";
    EXPECT_EQ(make_plan({legacy}, {modern}, {}, order::side_by_side).problems,
              names{"public.orders.id is missing on modern"});
}

TEST(backfill_plan, begins_with_the_largest_or_the_referenced) {
    const std::vector tables{table_of("customers", 1), table_of("items", 3), table_of("orders", 2)};
    const std::vector<catalog::foreign_key> keys{{"a", {"public", "items"}, {"public", "orders"}},
                                                 {"b", {"public", "orders"}, {"public", "customers"}},
                                                 {"c", {"public", "orders"}, {"public", "orders"}}};
    const auto free = make_plan(tables, tables, keys, order::side_by_side);
    EXPECT_EQ(order_of(free), (names{"items", "orders", "customers"}));
    EXPECT_EQ(free.tasks[0].clear, clearing::truncate);
    EXPECT_EQ(free.tasks[1].clear, clearing::remove) << "TRUNCATE is refused where items refer to it";
    EXPECT_EQ(order_of(make_plan(tables, tables, keys, order::by_foreign_keys)),
              (names{"customers", "orders", "items"}));

    auto circle = keys;
    circle.push_back({"d", {"public", "customers"}, {"public", "items"}});
    EXPECT_EQ(make_plan(tables, tables, circle, order::by_foreign_keys).problems.size(), 1U);
}

TEST(backfill_live, is_refused_where_a_chunk_has_no_place_in_the_stream) {
    const auto way_out = [](const settings::stream& stream, bool may_set_role) {
        try {
            require_live(stream, {.name = "crossfade", .replica_role = may_set_role});
        } catch (const stop& why) {
            return why.way_out();
        }
        return std::string{};
    };
    settings::stream stream;
    EXPECT_EQ(way_out(stream, true), "");
    EXPECT_NE(way_out(stream, false).find("GRANT SET ON PARAMETER"), std::string::npos);
    stream.ordering = settings::event_ordering::key;
    EXPECT_NE(way_out(stream, true).find("leave out --live"), std::string::npos);
}

TEST(backfill_display, is_never_finished_before_it_is) {
    totals sum{.rows = 500,
               .bytes = 10 << 20,
               .expected_rows = 1000,
               .expected_bytes = 1,
               .tables_done = 1,
               .tables = 2,
               .seconds = 2};
    EXPECT_DOUBLE_EQ(share_done(sum), 0.5);
    EXPECT_EQ(progress_line(sum), "1/2 tables  500 rows  10.0 MB  5.0 MB/s  50%  about 2.0 s left");
    sum.rows = 5000;
    EXPECT_DOUBLE_EQ(share_done(sum), 0.99);
    sum.tables_done = 2;
    EXPECT_DOUBLE_EQ(share_done(sum), 1);
    EXPECT_DOUBLE_EQ(share_done({.tables = 1}), 0) << "nothing known, nothing claimed";
}

}  // namespace
}  // namespace crossfade::ctl::backfill
