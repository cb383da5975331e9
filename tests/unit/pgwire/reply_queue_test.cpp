#include "lib/pgwire/reply_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

namespace crossfade::pgwire {
namespace {

using kind = reply_queue::kind;

constexpr kind kinds[] = {kind::startup, kind::query, kind::function_call, kind::sync, kind::extended, kind::copy_end};

// The same queue without the cleverness: a run for each push that differs from the one before.
struct plain_queue {
    std::deque<std::pair<kind, std::uint32_t>> runs;

    void push(kind what) {
        if (!runs.empty() && runs.back().first == what)
            ++runs.back().second;
        else
            runs.emplace_back(what, 1);
    }
    void pop() {
        if (--runs.front().second == 0) runs.pop_front();
    }
    void drop_second() { runs.erase(runs.begin() + 1); }
    void pop_second() {
        if (--runs[1].second == 0) drop_second();
    }
};

TEST(reply_queue, does_as_a_plain_one_through_growth_and_wrapping) {
    std::mt19937 random{5};
    for (int round = 0; round < 200; ++round) {
        reply_queue queue;
        plain_queue plain;
        // Grows in some rounds, breathes in others.
        const auto pushes = 2 + random() % 6;
        for (int step = 0; step < 2000; ++step) {
            if (plain.runs.empty() || random() % 8 < pushes) {
                const auto what = kinds[random() % std::size(kinds)];
                queue.push(what);
                plain.push(what);
            } else if (plain.runs.size() > 1 && random() % 4 == 0) {
                const bool all = random() % 2 == 0;
                all ? queue.drop_second() : queue.pop_second();
                all ? plain.drop_second() : plain.pop_second();
            } else if (random() % 3 == 0) {
                queue.pop_run();
                plain.runs.pop_front();
            } else {
                queue.pop();
                plain.pop();
            }
            ASSERT_EQ(queue.runs(), plain.runs.size());
            ASSERT_EQ(queue.empty(), plain.runs.empty());
            if (plain.runs.empty()) continue;
            ASSERT_EQ(queue.front(), plain.runs.front().first);
            ASSERT_EQ(queue.front_count(), plain.runs.front().second);
            ASSERT_EQ(queue.has_second(), plain.runs.size() > 1);
            if (queue.has_second()) {
                ASSERT_EQ(queue.second(), plain.runs[1].first);
            }
        }
        for (const auto what : kinds) {
            const auto is = [what](const auto& run) { return run.first == what; };
            EXPECT_EQ(queue.contains(what), std::any_of(plain.runs.begin(), plain.runs.end(), is));
        }
    }
}

TEST(reply_queue, gives_its_memory_back_when_all_is_answered) {
    reply_queue queue;
    for (int few = 0; few < 4; ++few)
        for (const auto what : {kind::extended, kind::sync}) queue.push(what);
    EXPECT_EQ(queue.allocated(), 0U) << "a short pipeline takes no memory";
    for (int many = 0; many < 100000; ++many)
        for (const auto what : {kind::extended, kind::sync}) queue.push(what);
    EXPECT_GT(queue.allocated(), 100000U);
    while (!queue.empty()) queue.pop();
    EXPECT_EQ(queue.allocated(), 0U);
    queue.push(kind::query);
    EXPECT_EQ(queue.front(), kind::query);
    EXPECT_EQ(queue.front_count(), 1U);
}

TEST(reply_queue, a_run_without_end_is_several) {
    reply_queue queue;
    constexpr std::uint32_t pushed = 5U << 20;
    for (std::uint32_t n = 0; n < pushed; ++n) queue.push(kind::sync);
    EXPECT_EQ(queue.runs(), 5U);
    for (std::uint32_t n = 0; n < pushed; ++n) {
        ASSERT_EQ(queue.front(), kind::sync);
        queue.pop();
    }
    EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace crossfade::pgwire
