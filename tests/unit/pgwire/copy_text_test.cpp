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

TEST(copy_text_values, are_those_that_were_written) {
    const std::vector<std::optional<std::string>> values{"plain", std::nullopt, "", "tab\tand\nnewline\rand \\ back",
                                                         "\\N"};
    copy_text line;
    for (const auto& each : values) each ? line.add(*each) : line.add_null();
    line.end_line();
    EXPECT_EQ(copy_text_values(line.take()), values);
}

// As https://www.postgresql.org/docs/15/sql-copy.html lists the escapes.
TEST(copy_text_values, are_read_as_a_server_escapes_them) {
    EXPECT_EQ(copy_text_values("\\b\\f\\v\\n\\t\\r\\\\\tx"),
              (std::vector<std::optional<std::string>>{"\b\f\v\n\t\r\\", "x"}));
    EXPECT_EQ(copy_text_values(""), (std::vector<std::optional<std::string>>{""}));
    EXPECT_EQ(copy_text_values("\t\n"), (std::vector<std::optional<std::string>>{"", ""}));
}

}  // namespace
}  // namespace crossfade::pgwire
