#include "proxy/publish/letters.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace crossfade::proxy::publish {
namespace {

struct written {
    letters::destination to;
    std::uint64_t sequence;
    std::string position, table, key, payload;
};

void put(letters& into, const written& one) {
    letters::parts made;
    into.bytes() += one.position;
    made.position = into.cut();
    into.bytes() += one.table;
    made.table = into.cut();
    into.bytes() += one.key;
    made.key = into.cut();
    into.bytes() += one.payload;
    made.payload = into.cut();
    into.push(one.to, static_cast<std::int32_t>(one.sequence % 7), one.sequence, made);
}

void expect_front(const letters& of, const written& one) {
    const auto got = of.front();
    EXPECT_EQ(got.to, one.to);
    EXPECT_EQ(got.partition, static_cast<std::int32_t>(one.sequence % 7));
    EXPECT_EQ(got.sequence, one.sequence);
    EXPECT_EQ(got.position, one.position);
    EXPECT_EQ(got.table, one.table);
    EXPECT_EQ(got.key, one.key);
    ASSERT_EQ(got.payload, one.payload);
}

// As long as some are left, and never all of them.
TEST(letters, come_out_as_they_went_in) {
    std::mt19937 random{20261130};
    std::uint64_t sequence = 0;
    letters waiting;
    std::deque<written> expected;
    const auto text = [&](std::size_t most) {
        return std::string(random() % most, static_cast<char>('a' + random() % 26));
    };
    for (int round = 0; round < 300; ++round) {
        const auto more = random() % 20;
        for (std::size_t i = 0; i < more; ++i) {
            const auto to = random() % 2 == 0 ? letters::destination::json : letters::destination::events;
            expected.push_back({to, ++sequence, text(40), to == letters::destination::json ? text(9) : "", text(60),
                                text(random() % 10 == 0 ? 1'000'000 : 500)});
            put(waiting, expected.back());
        }
        for (auto fewer = random() % 20; fewer > 0 && !expected.empty(); --fewer) {
            expect_front(waiting, expected.front());
            waiting.pop();
            expected.pop_front();
        }
        ASSERT_EQ(waiting.size(), expected.size());
    }
    for (; !expected.empty(); expected.pop_front(), waiting.pop()) expect_front(waiting, expected.front());
    EXPECT_EQ(waiting.size(), 0U);
}

TEST(letters, keep_little_memory_for_what_is_gone) {
    letters waiting;
    const written large{letters::destination::events, 1, "p", "", "k", std::string(8 << 20, 'x')};
    put(waiting, large);
    waiting.pop();
    EXPECT_LT(waiting.bytes().capacity(), 4U << 20U);
    // One is always left, so that it is never empty.
    const written small{letters::destination::events, 2, "p", "", "k", std::string(1000, 'y')};
    put(waiting, small);
    for (int round = 0; round < 50'000; ++round) {
        put(waiting, small);
        waiting.pop();
    }
    expect_front(waiting, small);
    EXPECT_LT(waiting.bytes().capacity(), 16U << 20U);
}

}  // namespace
}  // namespace crossfade::proxy::publish
