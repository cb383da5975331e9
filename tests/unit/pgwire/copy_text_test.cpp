#include "lib/pgwire/copy_text.hpp"

#include <gtest/gtest.h>

namespace crossfade::pgwire {
namespace {

TEST(copy_text, escapes_what_would_end_a_value_or_a_line) {
    copy_text tested;
    for (const char* each : {"1", "", "a\tb", "a\nb", "a\rb", "\\N", "\\."}) tested.add(each);
    tested.add_null();
    tested.end_line();
    EXPECT_EQ(tested.take(), "1\t\ta\\tb\ta\\nb\ta\\rb\t\\\\N\t\\\\.\t\\N\n");
}

TEST(copy_text, begins_each_line_anew) {
    copy_text tested;
    tested.add("1");
    tested.end_line();
    tested.add_null();
    tested.add("2");
    tested.end_line();
    EXPECT_EQ(tested.size(), 7U);
    EXPECT_EQ(tested.take(), "1\n\\N\t2\n");
    EXPECT_EQ(tested.take(), "");
    tested.add("3");
    tested.end_line();
    EXPECT_EQ(tested.take(), "3\n");
}

}  // namespace
}  // namespace crossfade::pgwire
