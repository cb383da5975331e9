#include "lib/sql/statement_cache.hpp"

#include <gtest/gtest.h>

#include "tests/unit/sql/allocations.hpp"

namespace crossfade::sql {
namespace {

TEST(statement_cache, gives_what_it_has_without_an_allocation) {
    statement_cache cache({});
    const std::string text = "SELECT * FROM orders WHERE id = $1";
    const auto first = cache.understand(text);
    ASSERT_TRUE(first && first->has_value());
    const auto before = allocations();
    const auto second = cache.understand(text);
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(second.get(), first.get());
    EXPECT_EQ(cache.counted().hits, 1U);
    EXPECT_EQ(cache.counted().misses, 1U);
    EXPECT_GT(before, 0U);
}

TEST(statement_cache, forgets_what_was_used_least_recently) {
    statement_cache cache({.entries = 2});
    const auto a = cache.understand("TABLE a");
    cache.understand("TABLE b");
    cache.understand("TABLE a");
    cache.understand("TABLE c");
    EXPECT_EQ(cache.entries(), 2U);
    EXPECT_EQ(cache.counted().evicted, 1U);
    EXPECT_EQ(cache.understand("TABLE a").get(), a.get());
    EXPECT_EQ(cache.counted().hits, 2U);
    cache.understand("TABLE b");
    EXPECT_EQ(cache.counted().misses, 4U);
    EXPECT_EQ(cache.counted().evicted, 2U);
    // Still whole for whoever has it.
    cache.understand("TABLE d");
    ASSERT_TRUE(a->has_value());
    EXPECT_EQ((*a)->at(0).tables.at(0).name, "a");
}

TEST(statement_cache, keeps_within_its_bytes) {
    statement_cache cache({.bytes = 20'000});
    for (int i = 0; i < 1000; ++i) {
        cache.understand("SELECT a" + std::to_string(i) + " FROM a, b, c");
        ASSERT_LE(cache.bytes(), 20'000U);
    }
    EXPECT_GT(cache.bytes(), 18'000U);
    EXPECT_EQ(cache.counted().evicted + cache.entries(), 1000U);

    statement_cache tiny({.bytes = 10});
    tiny.understand("SELECT 1");
    EXPECT_EQ(tiny.entries(), 0U);
    EXPECT_EQ(tiny.bytes(), 0U);
    statement_cache none({.entries = 0});
    EXPECT_TRUE(none.understand("SELECT 1")->has_value());
    EXPECT_EQ(none.entries(), 0U);
}

TEST(statement_cache, counts_what_the_statements_hold) {
    statement_cache plain({});
    plain.understand("SELECT 1; SELECT 2");
    statement_cache prepared({});
    prepared.understand("PREPARE q AS SELECT 1 FROM " + std::string(50, 'a') + "; SELECT 2");
    EXPECT_GT(prepared.bytes(), plain.bytes() + sizeof(statement));
}

TEST(statement_cache, never_keeps_long_texts) {
    statement_cache cache({.text = 20});
    cache.understand("SELECT 1234567890123");
    cache.understand("SELECT 12345678901234");
    cache.understand("SELECT 12345678901234");
    EXPECT_EQ(cache.entries(), 1U);
    EXPECT_EQ(cache.counted().misses, 3U);
    EXPECT_EQ(cache.counted().evicted, 0U);
}

TEST(statement_cache, keeps_what_is_no_sql_too) {
    statement_cache cache({}, {.bytes = 10});
    for (const char* text : {"SELEC 1", "SELECT 1234567890"}) {
        const auto first = cache.understand(text);
        EXPECT_TRUE(first->has_error());
        EXPECT_EQ(cache.understand(text).get(), first.get());
    }
    EXPECT_EQ(cache.counted().hits, 2U);
}

}  // namespace
}  // namespace crossfade::sql
