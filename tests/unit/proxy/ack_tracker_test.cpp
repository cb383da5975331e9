#include "proxy/publish/ack_tracker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace crossfade::proxy::publish {
namespace {

constexpr model::lsn none{};

TEST(ack_tracker, confirms_a_transaction_when_all_of_it_is_acknowledged) {
    ack_tracker acks;
    EXPECT_EQ(acks.produced(none, 10), 1U);
    EXPECT_EQ(acks.produced(model::lsn{100}, 20), 2U);
    EXPECT_EQ(acks.produced(none, 30), 3U);
    EXPECT_EQ(acks.unacknowledged_events(), 3U);
    EXPECT_EQ(acks.unacknowledged_bytes(), 60U);
    EXPECT_EQ(acks.published(), model::lsn{100});

    acks.acknowledged(1);
    EXPECT_EQ(acks.confirmed(), none);
    acks.acknowledged(2);
    EXPECT_EQ(acks.confirmed(), model::lsn{100});
    acks.acknowledged(3);
    EXPECT_EQ(acks.confirmed(), model::lsn{100});  // the second transaction's end isn't published yet
    EXPECT_EQ(acks.unacknowledged_bytes(), 0U);
}

TEST(ack_tracker, an_answer_out_of_order_confirms_nothing_before_the_gap_closes) {
    ack_tracker acks;
    for (std::uint64_t end : {100U, 200U, 300U}) acks.produced(model::lsn{end}, 1);
    acks.acknowledged(3);
    acks.acknowledged(2);
    EXPECT_EQ(acks.confirmed(), none);
    EXPECT_EQ(acks.unacknowledged_events(), 1U);
    acks.acknowledged(1);
    EXPECT_EQ(acks.confirmed(), model::lsn{300});
}

TEST(ack_tracker, answers_that_were_given_or_never_asked_for_change_nothing) {
    ack_tracker acks;
    acks.produced(model::lsn{100}, 1);
    acks.produced(model::lsn{200}, 1);
    for (const std::uint64_t sequence : {0U, 3U, 1U, 1U, 0U, 4000000000U}) acks.acknowledged(sequence);
    EXPECT_EQ(acks.confirmed(), model::lsn{100});
    EXPECT_EQ(acks.unacknowledged_events(), 1U);
}

// Whatever the order of answers: never past the first event that has none, and at the end all of it.
TEST(ack_tracker, never_runs_ahead_of_the_first_gap) {
    std::mt19937 random{7};
    for (int round = 0; round < 50; ++round) {
        ack_tracker acks;
        std::vector<model::lsn> ends;
        std::vector<std::uint64_t> answers;
        for (std::uint64_t i = 1; i <= 200; ++i) {
            ends.push_back(random() % 3 == 0 ? model::lsn{i * 10} : none);
            answers.push_back(acks.produced(ends.back(), 1));
        }
        std::shuffle(answers.begin(), answers.end(), random);
        std::vector<bool> answered(ends.size());
        for (const auto sequence : answers) {
            acks.acknowledged(sequence);
            answered[sequence - 1] = true;
            model::lsn expected;
            for (std::size_t i = 0; i < ends.size() && answered[i]; ++i) expected = std::max(expected, ends[i]);
            ASSERT_EQ(acks.confirmed(), expected);
        }
        EXPECT_EQ(acks.unacknowledged_events(), 0U);
        EXPECT_EQ(acks.unacknowledged_bytes(), 0U);
    }
}

}  // namespace
}  // namespace crossfade::proxy::publish
