#include "lib/sql/understand.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/sql/samples.hpp"

namespace crossfade::sql {
namespace {

using namespace std::string_literals;

std::vector<std::string_view> parts(std::string_view text) {
    const auto known = understand(text);
    std::vector<std::string_view> found;
    if (known)
        for (const auto& it : *known) found.push_back(text.substr(it.offset, it.length));
    return found;
}

TEST(understand, says_where_each_statement_is) {
    EXPECT_EQ(parts("SELECT 1"), (std::vector<std::string_view>{"SELECT 1"}));
    EXPECT_EQ(parts(" /* a */ SELECT 'é' ; -- b\n TABLE b;"),
              (std::vector<std::string_view>{" /* a */ SELECT 'é' ", " -- b\n TABLE b"}));
    EXPECT_EQ(parts(";;SELECT 1;;"), (std::vector<std::string_view>{"SELECT 1"}));
}

std::uint64_t only_fingerprint(std::string_view text) {
    const auto known = understand(text);
    return known && known->size() == 1 ? known->front().fingerprint : 0;
}

TEST(understand, gives_the_same_fingerprint_to_what_differs_in_literals) {
    const auto print = only_fingerprint("SELECT * FROM a WHERE id = 1");
    EXPECT_NE(print, 0U);
    // libpg_query's test data holds this one for "SELECT 1".
    EXPECT_EQ(only_fingerprint("SELECT 1"), 0x50fde20626009abaU);
    EXPECT_EQ(only_fingerprint("select *  from a where id = 'x' -- y"), print);
    EXPECT_EQ(only_fingerprint("SELECT * FROM a WHERE id = $1"), print);
    EXPECT_NE(only_fingerprint("SELECT * FROM b WHERE id = 1"), print);
    EXPECT_NE(only_fingerprint("SELECT * FROM a WHERE id > 1"), print);

    const auto two = understand("DELETE FROM a; SELECT * FROM a WHERE id = 2");
    ASSERT_TRUE(two && two->size() == 2);
    EXPECT_EQ(two->at(1).fingerprint, print);
    EXPECT_EQ(two->at(0).fingerprint, only_fingerprint("DELETE FROM a"));
}

TEST(understand, takes_any_bytes) {
    const std::pair<std::string, const char*> texts[] = {
        {"", ""},
        {" \t\r\n", ""},
        {"SELECT\t1\r\n,2", "read immutable read-only"},
        {"SELECT 1\0; DELETE FROM a"s, "syntax"},
        {"\0"s, "syntax"},
        {"SELECT '\xff\xfe'", "read immutable read-only"},
        {"SELECT \xc3 FROM \xff", "read immutable read-only; \xff:r"},
        {"SELECT E'\\xff\\0'", "syntax"},
        {"\xef\xbb\xbfSELECT 1", "syntax at 1"},
    };
    for (const auto& [text, known] : texts) EXPECT_EQ(describe(text), known) << text;
}

TEST(understand, has_a_bound_on_length_and_on_statements) {
    const limits few{.bytes = 20, .statements = 3};
    EXPECT_EQ(describe("SELECT 12345678901"s, few), "read immutable read-only");
    EXPECT_EQ(describe("SELECT 1234567890123"s, few), "read immutable read-only");
    EXPECT_EQ(describe("SELECT 12345678901234"s, few), "too_long");
    EXPECT_EQ(describe("END;END;END;", few),
              "transaction_control immutable;; commit / transaction_control immutable;; commit / "
              "transaction_control immutable;; commit");
    EXPECT_EQ(describe("END;END;END;END", few), "too_complex");
}

std::string repeated(const char* what, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += what;
    return all;
}

// The scanner's time grows with the square of a run of these.
TEST(understand, refuses_what_the_scanner_would_look_at_again_and_again) {
    const limits long_ones{.bytes = std::size_t{1} << 20};
    const std::string slow[] = {
        "SELECT 1" + repeated("+", 30'000) + "1",      "SELECT 1" + repeated("+-", 30'000) + "1",
        "SELECT 1*" + repeated("-+", 30'000) + "1",    "SELECT /*" + repeated("/**/", 15'000) + "*/ 1",
        "SELECT 1 " + repeated("+/**/", 15'000) + "1", "SELECT 1" + repeated("=/*x*/+-+", 1) + repeated("+", 2000),
    };
    for (const auto& text : slow) EXPECT_EQ(describe(text, long_ones), "too_complex") << text.substr(0, 30);
    const std::string quick[] = {
        "SELECT 1" + repeated("+", 100) + "1",
        "SELECT 1 " + repeated("-", 60'000),
        "SELECT 1 " + repeated("\n-- +-----+-----+-----+-----+-----+", 1000),
        "SELECT 1 " + repeated("/**********************************/\n", 1000),
        "SELECT '" + repeated("+--", 300) + "'",
        "SELECT 1 " + repeated("+ ", 300) + "1",
    };
    for (const auto& text : quick) EXPECT_NE(describe(text, long_ones), "too_complex") << text.substr(0, 30);
}

TEST(understand, reads_as_the_server_only_with_usual_strings_and_encodings) {
    EXPECT_TRUE(legible("SELECT '\\', 'é'", {}));
    EXPECT_FALSE(legible("SELECT '\\'", {.standard_conforming_strings = false}));
    EXPECT_TRUE(legible("SELECT 'é'", {.standard_conforming_strings = false}));
    EXPECT_FALSE(legible("SELECT 'é'", {.ascii_is_itself = false}));
    EXPECT_TRUE(legible("SELECT '\\'", {.ascii_is_itself = false}));
}

TEST(understand, is_done_by_many_threads_that_come_and_go) {
    for (int round = 0; round < 20; ++round) {
        std::vector<std::thread> threads;
        threads.reserve(8);
        std::atomic<int> wrong = 0;
        for (int thread = 0; thread < 8; ++thread)
            threads.emplace_back([&wrong] {
                for (int i = 0; i < 20; ++i) {
                    wrong += describe("SELECT * FROM a FOR UPDATE") != "read immutable; a:rl";
                    wrong += describe("SELECT * FROM") != "syntax at 14";
                }
            });
        for (auto& thread : threads) thread.join();
        EXPECT_EQ(wrong, 0);
    }
}

}  // namespace
}  // namespace crossfade::sql
