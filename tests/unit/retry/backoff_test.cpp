#include "lib/retry/backoff.hpp"

#include <gtest/gtest.h>

namespace crossfade::retry {
namespace {

using std::chrono::milliseconds;

TEST(backoff, doubles_within_its_bounds_and_starts_anew) {
    backoff pause{milliseconds{100}, milliseconds{1000}};
    for (const int whole : {100, 200, 400, 800, 1000, 1000}) {
        const auto drawn = pause.next();
        EXPECT_GE(drawn, milliseconds{whole / 2});
        EXPECT_LE(drawn, milliseconds{whole});
    }
    pause.reset();
    EXPECT_LE(pause.next(), milliseconds{100});
}

TEST(backoff, a_bound_below_the_first_pause_is_the_first_pause) {
    backoff pause{milliseconds{100}, milliseconds{10}};
    pause.next();
    EXPECT_GE(pause.next(), milliseconds{50});
    EXPECT_LE(pause.next(), milliseconds{100});
}

TEST(backoff, two_of_them_do_not_come_back_together) {
    backoff one{milliseconds{200}, milliseconds{1 << 20}};
    backoff other{milliseconds{200}, milliseconds{1 << 20}};
    bool apart = false;
    for (int i = 0; i < 12; ++i) apart |= one.next() != other.next();
    EXPECT_TRUE(apart);
}

}  // namespace
}  // namespace crossfade::retry
