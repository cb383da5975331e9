#include "lib/pgwire/diagnostics.hpp"

#include <gtest/gtest.h>

namespace crossfade::pgwire {
namespace {

using namespace std::string_literals;

TEST(diagnostics, fatal_comes_back) {
    const auto message = build_fatal(sqlstate::too_many_connections, "full", "wait");
    EXPECT_EQ(message.front(), 'E');
    const auto parsed = parse_diagnostics(std::string_view{message}.substr(5));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->severity(), "FATAL");
    EXPECT_EQ(parsed->sqlstate(), "53300");
    EXPECT_EQ(parsed->message(), "full");
    EXPECT_EQ(parsed->field('H'), "wait");
}

TEST(diagnostics, severity_is_the_untranslated_one_where_there_is_one) {
    EXPECT_EQ(parse_diagnostics("SFEHLER\0VERROR\0\0"s)->severity(), "ERROR");
    EXPECT_EQ(parse_diagnostics("SFEHLER\0\0"s)->severity(), "FEHLER");
}

TEST(diagnostics, broken_ones_are_none) {
    for (const auto& body : {""s, "S"s, "SERROR"s, "SERROR\0"s, "\0x"s, "SERROR\0\0x"s})
        EXPECT_FALSE(parse_diagnostics(body)) << body;
    EXPECT_TRUE(parse_diagnostics("\0"s));
}

}  // namespace
}  // namespace crossfade::pgwire
