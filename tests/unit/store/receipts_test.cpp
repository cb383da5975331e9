#include "lib/store/receipts.hpp"

#include <gtest/gtest.h>

#include <set>

namespace crossfade::store {
namespace {

using key = std::vector<std::pair<std::string_view, std::string_view>>;

std::int64_t mark(const model::table_name& table, const key& of) {
    return row_mark(table, of);
}

// Programs of several versions share a follower.
TEST(a_row_s_mark, is_the_same_in_every_version) {
    EXPECT_EQ(mark({"public", "t"}, {{"id", "1"}}), 3323723039527237370);
    EXPECT_EQ(mark({"public", "t"}, {{"part", "a"}, {"id", "1"}}), 13547272419079797);
}

TEST(a_row_s_mark, does_not_depend_on_the_order_of_the_columns) {
    EXPECT_EQ(mark({"s", "t"}, {{"a", "1"}, {"b", "2"}}), mark({"s", "t"}, {{"b", "2"}, {"a", "1"}}));
}

TEST(a_row_s_mark, tells_rows_apart) {
    const std::set<std::int64_t> all{
        mark({"s", "t"}, {{"a", "1"}, {"b", "2"}}), mark({"s", "t"}, {{"a", "2"}, {"b", "1"}}),
        mark({"s", "t"}, {{"a", "12"}, {"b", ""}}), mark({"s", "t"}, {{"a", ""}, {"b", "12"}}),
        mark({"st", ""}, {{"a", "1"}, {"b", "2"}}), mark({"s", "t2"}, {{"a", "1"}, {"b", "2"}}),
        mark({"s", "t"}, {{"a1", ""}, {"b", "2"}}), mark({"s", "t"}, {})};
    EXPECT_EQ(all.size(), 8U);
}

}  // namespace
}  // namespace crossfade::store
