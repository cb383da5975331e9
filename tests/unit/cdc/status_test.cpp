#include "cdc/follow/status.hpp"

#include <gtest/gtest.h>

namespace crossfade::cdc::follow {
namespace {

using namespace std::chrono_literals;

partition_status applying(std::uint64_t applied, model::source_time at, double lag) {
    partition_status made;
    made.now = follower_state::applying;
    made.applied_lsn = model::lsn{applied};
    made.applied_time = at;
    made.lag_seconds = lag;
    return made;
}

TEST(status, of_one_partition_is_its_own) {
    auto only = applying(7, model::source_time{5us}, 1.5);
    only.reason = "why";
    const auto sum = sum_up({{0, only}});
    EXPECT_EQ(sum.reason, "why");
    EXPECT_EQ(sum.applied_lsn, model::lsn{7});
}

TEST(status, of_several_is_the_worst_and_the_farthest_behind) {
    auto held = applying(9, model::source_time{5us}, 3);
    held.now = follower_state::held;
    held.reason = "a backfill is copying";
    held.limits = {"a"};
    auto handed_over = applying(6, {}, 1);
    handed_over.applied_time.reset();
    handed_over.lag_seconds.reset();
    handed_over.now = follower_state::standby;
    handed_over.limits = {"a", "b"};
    const auto sum = sum_up({{0, applying(7, model::source_time{7us}, 2)}, {3, held}, {5, handed_over}});
    EXPECT_EQ(sum.now, follower_state::held);
    EXPECT_EQ(sum.reason, "partition 3: a backfill is copying");
    EXPECT_EQ(sum.applied_lsn, model::lsn{7});
    EXPECT_EQ(sum.applied_time, model::source_time{5us});
    EXPECT_EQ(sum.lag_seconds, 3);
    EXPECT_EQ(sum.limits, (std::vector<std::string>{"a", "b"}));
}

TEST(status, is_unknown_where_that_of_a_partition_is) {
    auto fresh = applying(7, {}, 0);
    fresh.applied_time.reset();
    fresh.lag_seconds.reset();
    const auto sum = sum_up({{0, applying(7, model::source_time{7us}, 2)}, {1, fresh}});
    EXPECT_FALSE(sum.applied_time);
    EXPECT_EQ(sum.lag_seconds, 2);
}

TEST(status, of_a_way_back_that_was_given_up_is_no_trouble) {
    status_board board;
    for (const auto state : {follower_state::held, follower_state::waiting, follower_state::stopped}) {
        board.update(0, [&](partition_status& status) {
            status = applying(7, model::source_time{7us}, 4000);
            status.now = state;
            status.way_out = "begin anew";
        });
        board.update([](follower_status& status) { status.completed_at = {}; });
        EXPECT_EQ(board.read().now, state);
        EXPECT_EQ(board.lag_seconds(), 4000);
        board.update([](follower_status& status) { status.completed_at = "2026-01-02 03:04:05 UTC"; });
        const auto now = board.read();
        EXPECT_EQ(now.now, follower_state::completed);
        EXPECT_EQ(now.reason, "the cutover was completed at 2026-01-02 03:04:05 UTC: legacy gets nothing any more");
        EXPECT_EQ(now.way_out, "");
        EXPECT_EQ(now.lag_seconds, 0);
        EXPECT_EQ(now.lag_bytes, 0);
        EXPECT_EQ(now.partitions.at(0).now, follower_state::completed);
        EXPECT_TRUE(now.ready());
        EXPECT_EQ(board.lag_seconds(), 0);
    }
    board.update(0, [](partition_status& status) { status.now = follower_state::standby; });
    EXPECT_EQ(board.read().now, follower_state::standby);
}

TEST(status, while_no_partition_is_followed) {
    status_board board;
    board.update([](follower_status& status) { status.now = follower_state::standby; });
    EXPECT_EQ(board.read().now, follower_state::standby);
    board.update(4, [](partition_status& status) { status.now = follower_state::stopped; });
    EXPECT_EQ(board.read().now, follower_state::stopped);
    board.forget(4);
    EXPECT_TRUE(board.read().ready());
}

}  // namespace
}  // namespace crossfade::cdc::follow
