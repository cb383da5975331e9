#include "lib/pgwire/array_literal.hpp"

#include <gtest/gtest.h>

namespace crossfade::pgwire {
namespace {

TEST(array_literal, quotes_what_needs_it) {
    array_literal tested;
    for (const char* each : {"1", "-1.5", "", "null", "a b", "\"", "\\", "{}", ","}) tested.add(each);
    tested.add_null();
    EXPECT_EQ(tested.take(), R"({1,-1.5,"","null","a b","\"","\\","{}",",",NULL})");
    EXPECT_EQ(tested.take(), "{}");
}

TEST(array_literal, takes_another_delimiter) {
    array_literal boxes{';'};
    boxes.add("(1,1),(0,0)");
    boxes.add("(2,2),(0,0)");
    EXPECT_EQ(boxes.take(), R"x({"(1,1),(0,0)";"(2,2),(0,0)"})x");
}

}  // namespace
}  // namespace crossfade::pgwire
