#include "lib/auth/attempt_limiter.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace crossfade::auth {
namespace {

using namespace std::chrono_literals;

const attempt_limit limit{.most = 3, .window = 60s};
const auto start = attempt_limiter::clock::time_point{} + 1h;

std::optional<ip_address> from(const char* address) {
    return parse_ip_address(address).value();
}

TEST(attempt_limiter, holds_back_after_as_many_failures_and_lets_go_one_by_one) {
    attempt_limiter of;
    const auto here = from("10.0.0.1");
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(of.pause(limit, here, "ann", start)) << i;
        of.failed(limit, here, "ann", start);
    }
    EXPECT_EQ(of.pause(limit, here, "ann", start), 20s);
    EXPECT_EQ(of.pause(limit, here, "ann", start + 19s), 1s);
    EXPECT_FALSE(of.pause(limit, here, "ann", start + 20s));
    of.failed(limit, here, "ann", start + 20s);
    EXPECT_EQ(of.pause(limit, here, "ann", start + 20s), 20s);
    EXPECT_EQ(of.remembered(start + 20s), 1U);
    EXPECT_EQ(of.remembered(start + 80s), 0U);
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(of.pause(limit, here, "ann", start + 1h)) << "all of it is back";
        of.failed(limit, here, "ann", start + 1h);
    }
    EXPECT_TRUE(of.pause(limit, here, "ann", start + 1h));
}

TEST(attempt_limiter, tells_addresses_and_users_apart) {
    struct {
        const char* failed;
        const char* next;
        const char* user;
        bool held;
    } table[] = {
        {"10.0.0.1", "10.0.0.1", "ann", true},       {"10.0.0.1", "10.0.0.2", "ann", false},
        {"10.0.0.1", "10.0.0.1", "bob", false},      {"10.0.0.1", "::ffff:10.0.0.1", "ann", true},
        {"2001:db8::1", "2001:db8::2", "ann", true}, {"2001:db8::1", "2001:db8:0:1::1", "ann", false},
    };
    for (const auto& each : table) {
        attempt_limiter of;
        for (int i = 0; i < 3; ++i) of.failed(limit, from(each.failed), "ann", start);
        EXPECT_EQ(of.pause(limit, from(each.next), each.user, start).has_value(), each.held)
            << each.failed << ' ' << each.next;
    }
    attempt_limiter of;
    for (int i = 0; i < 3; ++i) of.failed(limit, std::nullopt, "ann", start);
    EXPECT_TRUE(of.pause(limit, std::nullopt, "ann", start)) << "Unix sockets are one address";
}

TEST(attempt_limiter, counts_failures_side_by_side_in_full_up_to_ten_windows) {
    attempt_limiter of;
    for (int i = 0; i < 12; ++i) of.failed(limit, from("10.0.0.1"), "ann", start);
    EXPECT_EQ(of.pause(limit, from("10.0.0.1"), "ann", start), 200s);
    for (int i = 0; i < 1000; ++i) of.failed(limit, from("10.0.0.1"), "ann", start);
    EXPECT_EQ(of.pause(limit, from("10.0.0.1"), "ann", start), 600s - 40s);
}

TEST(attempt_limiter, may_be_off) {
    attempt_limiter of;
    const attempt_limit off{.most = 0, .window = 60s};
    for (int i = 0; i < 100; ++i) of.failed(off, from("10.0.0.1"), "ann", start);
    EXPECT_FALSE(of.pause(off, from("10.0.0.1"), "ann", start));
    EXPECT_EQ(of.remembered(start), 0U);
    // Turned off by a reload, it lets go at once.
    for (int i = 0; i < 100; ++i) of.failed(limit, from("10.0.0.1"), "ann", start);
    EXPECT_FALSE(of.pause(off, from("10.0.0.1"), "ann", start));
}

TEST(attempt_limiter, of_one_try_knows_no_second) {
    attempt_limiter of;
    const attempt_limit one{.most = 1, .window = 10s};
    of.failed(one, from("10.0.0.1"), "ann", start);
    EXPECT_EQ(of.pause(one, from("10.0.0.1"), "ann", start), 10s);
    EXPECT_FALSE(of.pause(one, from("10.0.0.1"), "ann", start + 10s));
}

TEST(attempt_limiter, forgets_those_who_are_held_back_least) {
    attempt_limiter of(64);
    for (int i = 0; i < 30; ++i) of.failed(limit, from("10.0.0.1"), "ann", start);
    // A flood of others, as much as the table holds a hundred times over.
    for (int i = 0; i < 6400; ++i) of.failed(limit, from("10.0.0.2"), "u" + std::to_string(i), start);
    EXPECT_TRUE(of.pause(limit, from("10.0.0.1"), "ann", start));
    EXPECT_LE(of.remembered(start), 64U);
}

TEST(attempt_limiter, may_be_used_by_several_threads) {
    attempt_limiter of;
    const attempt_limit wide{.most = 1000, .window = 1000s};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] {
                for (int n = 0; n < 500; ++n) {
                    of.failed(wide, from("10.0.0.1"), "ann", start);
                    (void)of.pause(wide, from("10.0.0.1"), "ann", start);
                }
            });
    }
    EXPECT_EQ(of.pause(wide, from("10.0.0.1"), "ann", start), 2000s - 999s) << "none was lost";
}

}  // namespace
}  // namespace crossfade::auth
