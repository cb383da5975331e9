#include "lib/settings/assignment_text.hpp"

#include <gtest/gtest.h>

namespace crossfade::settings {
namespace {

TEST(assignment_text, goes_both_ways) {
    const std::map<flag_scope, side> apart{{{"orders", ""}, side::modern}, {{"", "a\"b\\"}, side::legacy}};
    EXPECT_EQ(parse_apart(apart_text(apart)), apart);
    EXPECT_EQ(parse_apart("[]"), (std::map<flag_scope, side>{}));
    EXPECT_EQ(apart_text({}), "[]");
    const flag_scope scope{"orders", "acme"};
    EXPECT_EQ(parse_scope(scope_json(scope)), scope);
}

TEST(assignment_text, is_nothing_else) {
    for (const char* bad :
         {"", "{}", "[1]", "[{}]", R"([{"group":"a"}])", R"([{"group":"a","tenant":1,"authority":"modern"}])",
          R"([{"group":"a","tenant":"","authority":"both"}])", R"([{"group":"a","tenant":"")"})
        EXPECT_FALSE(parse_apart(bad)) << bad;
    EXPECT_FALSE(parse_scope("[]"));
    EXPECT_FALSE(parse_scope(""));
}

}  // namespace
}  // namespace crossfade::settings
