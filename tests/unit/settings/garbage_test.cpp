#include <gmock/gmock.h>

#include <random>

#include "lib/settings/keys.hpp"
#include "tests/unit/settings/sample.hpp"

namespace crossfade::settings {
namespace {

// Whatever is in a file, load() answers with a configuration or with problems; it never throws.
void expect_an_answer(const std::string& text) {
    const auto read = parse(text, "f.yaml", variables({{"X", "1"}}));
    if (!read) {
        EXPECT_FALSE(read.error().problems.empty());
    }
}

class garbage : public testing::Test {
  protected:
    std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_); }
    std::mt19937 random_{20261120};  // NOLINT: the same garbage each time, so that a failure comes again
};

TEST_F(garbage, of_random_bytes) {
    constexpr std::string_view favourites = "{}[]:,-?!&*|>'\"%@`#\n\n\t  abc019~$<.=\\\0\xff\xc3";
    for (int round = 0; round < 5000; ++round) {
        std::string text(below(80), '\0');
        for (char& c : text) c = below(8) == 0 ? static_cast<char>(below(256)) : favourites[below(favourites.size())];
        ASSERT_NO_THROW(expect_an_answer(text)) << testing::PrintToString(text);
    }
}

TEST_F(garbage, of_damaged_files) {
    const std::string whole =
        required +
        "flags: { dual_write_strategy: legacy-only }\ngroups:\n  g: { tables: [a.b], flags: { "
        "canary_percent: 100 } }\ntenants: { session: user, overrides: { t: { groups: { g: {} } } } "
        "}\nproxy: { connect_timeout: 5s, max_message_bytes: 1MiB }\n";
    ASSERT_THAT(messages(whole), testing::IsEmpty());
    for (int round = 0; round < 1000; ++round) {
        auto text = whole;
        for (std::size_t left = 1 + below(4); left > 0; --left) {
            const auto at = below(text.size());
            switch (below(4)) {
                case 0:
                    text.erase(at, 1 + below(10));
                    break;
                case 1:
                    text[at] = static_cast<char>(below(256));
                    break;
                case 2:
                    text.insert(at, text.substr(below(text.size()), below(30)));
                    break;
                default:
                    std::swap(text[at], text[below(text.size())]);
            }
            if (text.empty()) break;
        }
        ASSERT_NO_THROW(expect_an_answer(text)) << testing::PrintToString(text);
    }
}

TEST_F(garbage, of_known_keys_with_odd_values) {
    constexpr const char* odd[] = {
        "",    "~",  "[]",   "{}",     "[[[]]]", "{a: {b: c}}", "''",   "-1", "1e400", "99999999999999999999",
        "nan", "!x", "&a b", "*a",     "'\\0'",  "\"\\xff\"",   "${X}", "${", "${Y}",  "a.b",
        "? x", "|",  ">",    "<<: *x", "%",      "@",           "0x10", "-",  ":",     "{? : }"};
    for (const auto& each : keys())
        for (const char* value : odd) {
            std::string name(each.name);
            std::string text;
            std::string indent;
            for (std::size_t dot = 0; dot != std::string::npos;) {
                dot = name.find('.');
                text += indent + name.substr(0, dot) + ":" + (dot == std::string::npos ? " " : "\n");
                name.erase(0, dot + 1);
                indent += "  ";
            }
            ASSERT_NO_THROW(expect_an_answer(text + value)) << text << value;
        }
}

TEST_F(garbage, of_great_depth_and_length) {
    for (const char* open : {"[", "{a: ", "- ", "? ", "a:\n "}) {
        std::string text;
        while (text.size() < 50000) text += open;
        ASSERT_NO_THROW(expect_an_answer(text)) << open;
    }
    ASSERT_NO_THROW(expect_an_answer("log: { level: " + std::string(1000000, 'x') + " }"));
}

TEST_F(garbage, of_great_number) {
    std::string strangers;
    while (strangers.size() < 200000) strangers += 'k' + std::to_string(strangers.size()) + ":\n";
    EXPECT_EQ(messages(strangers).size(), 1001U);
    // Each tenant has all groups, by an alias.
    std::string amplified = required + "groups:\n";
    for (int i = 0; i < 150; ++i)
        amplified += " g" + std::to_string(i) + ": { tables: [a.t" + std::to_string(i) + "] }\n";
    amplified += "tenants:\n session: user\n overrides:\n  t: { groups: &all {";
    for (int i = 0; i < 150; ++i) amplified += " g" + std::to_string(i) + ": {},";
    amplified += " } }\n";
    for (int i = 0; i < 150; ++i) amplified += "  t" + std::to_string(i) + ": { groups: *all }\n";
    EXPECT_THAT(messages(amplified), testing::ElementsAre(testing::HasSubstr("too many groups of tenants")));
    // Each alias doubles what the one before it stands for.
    std::string laughs = "a0: &a0 [x, x]\n";
    for (int i = 1; i < 40; ++i) {
        const auto last = std::to_string(i - 1);
        laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + last + ", *a" + last + "]\n";
    }
    ASSERT_NO_THROW(expect_an_answer(laughs + "groups: *a39\nstream: { tables: *a39 }\n"));
}

}  // namespace
}  // namespace crossfade::settings
