#include "lib/model/table_name.hpp"

#include <gtest/gtest.h>

namespace crossfade::model {
namespace {

TEST(table_name, is_quoted_for_sql) {
    EXPECT_EQ(quoted(table_name{"public", "orders"}), R"("public"."orders")");
    EXPECT_EQ(quoted(table_name{"My Schema", R"(o"dd)"}), R"("My Schema"."o""dd")");
}

TEST(table_name, matches_patterns) {
    const table_name orders{"public", "orders"};
    for (const char* pattern : {"public.orders", "public.*", "*.*", "*.orders", "pub*.ord*s", "public.**"})
        EXPECT_TRUE(matches(pattern, orders)) << pattern;
    for (const char* pattern : {"public.order", "public", "*", "", "private.*", "public.*x", "public.orders2"})
        EXPECT_FALSE(matches(pattern, orders)) << pattern;
}

}  // namespace
}  // namespace crossfade::model
