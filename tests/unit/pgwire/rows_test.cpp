#include "lib/pgwire/rows.hpp"

#include <gmock/gmock.h>

#include "lib/pgwire/query_messages.hpp"

namespace crossfade::pgwire {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;

TEST(rows, columns_come_back_as_they_went) {
    const auto message = build_data_row({"a", std::nullopt, "", "b\0c"s});
    const auto columns = parse_data_row(std::string_view{message}.substr(5));
    ASSERT_TRUE(columns);
    EXPECT_THAT(*columns, ElementsAre("a", std::nullopt, "", "b\0c"s));
}

TEST(rows, what_is_not_well_formed_is_no_row) {
    const std::string whole = build_data_row({"abc", std::nullopt}).substr(5);
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(parse_data_row(std::string_view{whole}.substr(0, size))) << size;
    EXPECT_FALSE(parse_data_row(whole + "x"));
    EXPECT_FALSE(parse_data_row("\0\1\xFF\xFF\xFF\xFE"s)) << "a negative length";
}

TEST(parse_message, names_text_and_types_come_back) {
    const std::vector<std::uint32_t> types{23, 0, 16385};
    const auto message = build_parse("p", "select $1", types);
    const auto parsed = parse_parse(std::string_view{message}.substr(5));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->statement, "p");
    EXPECT_EQ(parsed->sql, "select $1");
    EXPECT_EQ(parsed->types, types);
    for (std::size_t size = 5; size < message.size(); ++size)
        EXPECT_FALSE(parse_parse(std::string_view{message}.substr(5, size - 5)));
}

}  // namespace
}  // namespace crossfade::pgwire
