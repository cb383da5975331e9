#include "cdc/apply/recent_transactions.hpp"

#include <gtest/gtest.h>

namespace crossfade::cdc::apply {
namespace {

source_snapshot snapshot(std::string_view text) {
    return source_snapshot::parse(text).value();
}

TEST(source_snapshot, has_what_ended_before_it) {
    const auto now = snapshot("100:110:100,105");
    EXPECT_TRUE(now.has(99));
    EXPECT_FALSE(now.has(100));
    EXPECT_TRUE(now.has(101));
    EXPECT_FALSE(now.has(105));
    EXPECT_TRUE(now.has(109));
    EXPECT_FALSE(now.has(110));
    EXPECT_FALSE(now.has(4000));
    EXPECT_EQ(now.oldest_running(), 100U);
}

TEST(source_snapshot, of_a_quiet_source_has_all_before_its_end) {
    const auto now = snapshot("110:110:");
    EXPECT_TRUE(now.has(109));
    EXPECT_FALSE(now.has(110));
}

// The WAL has 32 bits of a transaction's number, a snapshot all 64.
TEST(source_snapshot, knows_transactions_across_a_wraparound) {
    const auto now = snapshot("8589934590:8589934600:8589934590,8589934595");  // around 2 * 2^32
    EXPECT_TRUE(now.has(4294967293U));                                         // 8589934589
    EXPECT_FALSE(now.has(4294967294U));                                        // 8589934590
    EXPECT_TRUE(now.has(0));                                                   // 8589934592
    EXPECT_FALSE(now.has(3));                                                  // 8589934595
    EXPECT_TRUE(now.has(7));
    EXPECT_FALSE(now.has(8));
}

TEST(source_snapshot, is_read_from_nothing_else) {
    for (const auto* text : {"", "1", "1:2", "a:2:", "1:2:x", "1:2:3,", "1:2:3;4", "1:2:,3", ":1:", "1:2:3 "})
        EXPECT_FALSE(source_snapshot::parse(text)) << text;
}

TEST(recent_transactions, are_in_doubt_until_a_snapshot_has_them) {
    recent_transactions recent;
    EXPECT_TRUE(recent.in_doubt()) << "nothing is known of what was before";
    recent.settle_doubt();
    for (const std::uint32_t xid : {101U, 101U, 105U, 103U}) recent.note(xid);
    EXPECT_FALSE(recent.all_in(snapshot("104:106:105")));
    EXPECT_FALSE(recent.all_in(snapshot("104:106:105")));
    EXPECT_TRUE(recent.all_in(snapshot("106:106:")));
    EXPECT_FALSE(recent.in_doubt());
}

TEST(recent_transactions, beyond_their_bound_put_all_in_doubt) {
    recent_transactions recent;
    recent.settle_doubt();
    for (std::uint32_t i = 0; i < recent_transactions::most; ++i) recent.note(i + 1);
    EXPECT_FALSE(recent.in_doubt());
    recent.note(500'000);
    EXPECT_TRUE(recent.in_doubt());
    EXPECT_FALSE(recent.all_in(snapshot("400000:400000:")));
    EXPECT_TRUE(recent.all_in(snapshot("500001:500001:")));
}

}  // namespace
}  // namespace crossfade::cdc::apply
