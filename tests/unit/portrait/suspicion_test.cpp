#include "proxy/portrait/suspicion.hpp"

#include <gtest/gtest.h>

#include <string>

namespace crossfade::proxy::portrait {
namespace {

constexpr const char* suspicious[] = {
    "SET app.tenant = 'x'",
    "  set local a.b to 1",
    "/* a /* b */ c */ -- d\n SET a = 1",
    "SELECT 1; SET a.b = 1",
    "SELECT ';';;; /* ; */ -- x\n;\treset all",
    "discard all",
    "DO $$ begin end $$",
    "do",
    "SELECT Set_Config('a.b', 'x', false)",
    "SELECT pg_catalog.\"set_config\"('a.b', 'x', false)",
    "SELECT U&\"\\0073et_config\"('a.b', 'x', false)",
    "INSERT INTO t VALUES (CurrVal('s'))",
    "SELECT lastval ()",
    "SELECT LASTVAL()",
};
constexpr const char* innocent[] = {
    "",
    ";",
    "/* SET a = 1 */",
    "SELECT 1",
    "UPDATE t SET a = 'x' WHERE config = 'y'",
    "INSERT INTO t (val, set_name) VALUES ('last', 'curr')",
    "SELECT setting FROM pg_settings; SELECT settle(); SELECT doing(); SELECT 1",
    "settle",
    "BEGIN; COMMIT",
    "PREPARE p AS SELECT 1",
    "reset_all",
    "SELECT u & \"v\"",
};

TEST(a_text, is_suspicious_where_a_portrait_would_not_show_what_it_does) {
    for (const auto* text : suspicious) EXPECT_TRUE(is_suspicious(text, stands_in::query)) << text;
    for (const auto* text : innocent) EXPECT_FALSE(is_suspicious(text, stands_in::query)) << text;
}

TEST(a_text, of_a_parse_is_one_statement) {
    EXPECT_TRUE(is_suspicious("SET a.b = 1", stands_in::parse));
    EXPECT_TRUE(is_suspicious("SELECT set_config('a.b', $1, false)", stands_in::parse));
    EXPECT_FALSE(is_suspicious("INSERT INTO t VALUES ('; set a.b = 1')", stands_in::parse));
}

bool in_pieces(const std::string& text, std::size_t first, std::size_t each) {
    long_text pieces(stands_in::query);
    bool found = pieces.take(text.substr(0, first));
    for (std::size_t at = first; at < text.size(); at += each) found = pieces.take(text.substr(at, each));
    return found;
}

TEST(a_long_text, is_never_less_suspicious_than_a_whole_one) {
    const std::string filling = "INSERT INTO t VALUES ('" + std::string(100, 'x') + "')";
    for (const std::string text : suspicious)
        for (const std::size_t blanks : {0, 1, 20, 100})
            for (std::size_t first = filling.size(); first < filling.size() + blanks + text.size() + 1; ++first)
                for (const std::size_t each : {1, 3, 10, 33, 1000})
                    EXPECT_TRUE(in_pieces(filling + ';' + std::string(blanks, ' ') + text, first, each))
                        << text << " after " << blanks << " blanks, cut at " << first << " and every " << each;
}

TEST(a_long_text, of_ordinary_rows_is_not_suspicious) {
    std::string text = "INSERT INTO t (a, b) VALUES ";
    for (int row = 0; row < 1000; ++row) text += "(" + std::to_string(row) + ", 'some; text to set'), ";
    EXPECT_FALSE(in_pieces(text, 4096, 65536));
    EXPECT_FALSE(in_pieces(text, 4096, 1));
    EXPECT_TRUE(in_pieces(std::string(5000, ' ') + "SET a.b = 1", 4096, 65536)) << "all blanks so far";
}

}  // namespace
}  // namespace crossfade::proxy::portrait
