#include <gtest/gtest.h>

#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"

namespace crossfade::ctl::output {
namespace {

TEST(output_table, aligns_by_characters_and_leaves_no_trailing_blanks) {
    table made({{"table"}, {"rows", align::right}, {"verdict"}});
    made.add({"public.größe", "7", "equal"});
    made.add({"a", "1,234", "a verdict longer than its heading"});
    made.add({"b"});
    EXPECT_EQ(made.render(),
              "table          rows  verdict\n"
              "------------  -----  -------\n"
              "public.größe      7  equal\n"
              "a             1,234  a verdict longer than its heading\n"
              "b\n");
}

TEST(output_text, says_sizes_as_people_do) {
    EXPECT_EQ(bytes_text(0), "0 B");
    EXPECT_EQ(bytes_text(1023), "1023 B");
    EXPECT_EQ(bytes_text(1536), "1.5 kB");
    EXPECT_EQ(bytes_text(std::uint64_t{300} << 30), "300 GB");
    EXPECT_EQ(count_text(999), "999");
    EXPECT_EQ(count_text(1000), "1,000");
    EXPECT_EQ(count_text(1234567), "1,234,567");
    EXPECT_EQ(seconds_text(0.44), "0.4 s");
    EXPECT_EQ(seconds_text(200), "3 min 20 s");
    EXPECT_EQ(seconds_text(7500), "2 h 5 min");
}

TEST(output_json, keeps_the_order_of_fields) {
    EXPECT_EQ(pretty({{"b", 1}, {"a", {{"x", boost::json::array{"\"", 2}}}}, {"none", boost::json::array{}}}),
              "{\n  \"b\": 1,\n  \"a\": {\n    \"x\": [\n      \"\\\"\",\n      2\n    ]\n  },\n  \"none\": []\n}\n");
}

}  // namespace
}  // namespace crossfade::ctl::output
