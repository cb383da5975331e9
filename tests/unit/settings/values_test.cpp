#include "lib/settings/values.hpp"

#include <gtest/gtest.h>

#include "lib/settings/suggest.hpp"

namespace crossfade::settings {
namespace {

using namespace std::chrono_literals;

TEST(values, durations) {
    const std::pair<const char*, std::optional<std::chrono::milliseconds>> cases[] = {{"0s", 0ms},
                                                                                      {"500ms", 500ms},
                                                                                      {"5s", 5s},
                                                                                      {"1m", 1min},
                                                                                      {"2h", 2h},
                                                                                      {"", {}},
                                                                                      {"5", {}},
                                                                                      {"s", {}},
                                                                                      {"-5s", {}},
                                                                                      {"5 s", {}},
                                                                                      {"1.5s", {}},
                                                                                      {"5S", {}},
                                                                                      {"1d", {}},
                                                                                      {"5sm", {}},
                                                                                      {"99999999999999999999s", {}},
                                                                                      {"9999999999999999h", {}}};
    for (const auto& [text, expected] : cases) EXPECT_EQ(read_duration(text), expected) << text;
}

TEST(values, sizes) {
    const std::pair<const char*, std::optional<std::uint64_t>> cases[] = {
        {"4096", 4096},    {"64KiB", 65536}, {"16MiB", 16 << 20},
        {"1GiB", 1 << 30}, {"1KB", {}},      {"1 GiB", {}},
        {"GiB", {}},       {"-1", {}},       {"18446744073709551615GiB", {}}};
    for (const auto& [text, expected] : cases) EXPECT_EQ(read_size(text), expected) << text;
}

TEST(values, have_a_shortest_text) {
    EXPECT_EQ(duration_text(0ms), "0ms");
    EXPECT_EQ(duration_text(1500ms), "1500ms");
    EXPECT_EQ(duration_text(90s), "90s");
    EXPECT_EQ(duration_text(2h), "2h");
    EXPECT_EQ(size_text(0), "0");
    EXPECT_EQ(size_text(1 << 30), "1GiB");
    EXPECT_EQ(size_text(1000), "1000");
    EXPECT_EQ(decimal_text(0.0005), "0.0005");
    EXPECT_EQ(decimal_text(1), "1");
}

TEST(values, endpoints) {
    const std::pair<const char*, const char*> good[] = {{"127.0.0.1:6432", "127.0.0.1"},
                                                        {"0.0.0.0:0", "0.0.0.0"},
                                                        {"[::1]:6432", "::1"},
                                                        {"db-1.example_x.org:65535", "db-1.example_x.org"}};
    for (const auto& [text, host] : good) {
        const auto read = read_endpoint(text);
        ASSERT_TRUE(read) << text;
        EXPECT_EQ(read->host, host);
        EXPECT_EQ(to_string(*read), text);
    }
    for (const char* text : {"", ":", ":6432", "localhost", "localhost:", "localhost:65536", "localhost:-1", "::1:6432",
                             "[::1]", "[::g]:1", "[]:1", "256.0.0.1:1", "1.2.3:1", "a b:1", "-a:1", "/tmp:1", "a:1x"})
        EXPECT_FALSE(read_endpoint(text)) << text;
}

TEST(values, booleans_and_decimals) {
    for (const char* yes : {"true", "True", "YES", "on", "1"}) EXPECT_EQ(read_boolean(yes), true) << yes;
    for (const char* no : {"false", "No", "OFF", "0"}) EXPECT_EQ(read_boolean(no), false) << no;
    for (const char* neither : {"", "y", "2", "true "}) EXPECT_FALSE(read_boolean(neither)) << neither;
    EXPECT_EQ(read_decimal("5e-4"), 0.0005);
    for (const char* none : {"", "nan", "inf", "1e999", "0x1", "1,5", " 1"}) EXPECT_FALSE(read_decimal(none)) << none;
}

TEST(suggestions, are_near_or_none) {
    const std::vector<std::string_view> known{"listen", "admin", "threads"};
    EXPECT_EQ(nearest("listne", known), "listen");  // swapped neighbours count once
    EXPECT_EQ(nearest("thread", known), "threads");
    EXPECT_EQ(nearest("amdin", known), "admin");
    EXPECT_EQ(nearest("password", known), "");
    EXPECT_EQ(nearest("", known), "");
    EXPECT_EQ(nearest(std::string(100000, 'l'), known), "");
}

}  // namespace
}  // namespace crossfade::settings
