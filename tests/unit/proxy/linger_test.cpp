#include "proxy/capture/linger.hpp"

#include <gtest/gtest.h>

namespace crossfade::proxy::capture {
namespace {

constexpr linger::clock::time_point start{};
using std::chrono::milliseconds;

TEST(a_linger, is_over_when_the_first_event_has_waited_long_enough) {
    linger one;
    EXPECT_TRUE(one.is_over(start));
    one.put(start, false);
    EXPECT_FALSE(one.is_over(start));
    one.put(start + linger::longest - milliseconds{1}, false);
    EXPECT_FALSE(one.is_over(start + linger::longest - milliseconds{1}));
    EXPECT_EQ(one.until(), start + linger::longest);
    EXPECT_TRUE(one.is_over(start + linger::longest));
    one.sent();
    EXPECT_EQ(one.until(), std::nullopt);
    one.put(start + linger::longest, false);
    EXPECT_FALSE(one.is_over(start + linger::longest)) << "begins anew";
}

TEST(a_linger, is_over_at_once_where_somebody_waits) {
    linger one;
    one.put(start, false);
    one.put(start, true);
    one.put(start, false);
    EXPECT_TRUE(one.is_over(start));
    one.sent();
    one.put(start, false);
    EXPECT_FALSE(one.is_over(start));
}

TEST(a_linger, is_over_when_there_is_much) {
    linger one;
    for (std::size_t i = 1; i < linger::most_events; ++i) one.put(start, false);
    EXPECT_FALSE(one.is_over(start));
    one.put(start, false);
    EXPECT_TRUE(one.is_over(start));
}

TEST(a_linger, is_calm_where_nobody_has_waited_lately) {
    linger one;
    EXPECT_FALSE(one.calm(start)) << "nothing is there, and what comes first may be urgent";
    one.put(start, false);
    EXPECT_TRUE(one.calm(start));
    one.put(start, true);
    EXPECT_FALSE(one.calm(start + linger::calm_after)) << "it is not sent yet";
    one.sent();
    one.put(start, false);
    EXPECT_FALSE(one.calm(start + linger::calm_after - milliseconds{1}));
    EXPECT_TRUE(one.calm(start + linger::calm_after));
}

}  // namespace
}  // namespace crossfade::proxy::capture
