#include "lib/handover/sequences.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <optional>

namespace crossfade::handover {
namespace {

sequence at(std::optional<std::int64_t> last) {
    return {.column = "public.orders.id",
            .name = "public.orders_id_seq",
            .greatest = std::numeric_limits<std::int64_t>::max(),
            .last = last};
}

sequence down(std::optional<std::int64_t> last) {
    return {.column = "c", .name = "s", .increment = -1, .least = -1000, .greatest = -1, .start = -1, .last = last};
}

TEST(sequences, go_beyond_what_either_side_has_given_out) {
    EXPECT_EQ(plan_move(at(10), at(std::nullopt)).to, 110);
    EXPECT_EQ(plan_move(at(10), at(5)).to, 110);
    EXPECT_EQ(plan_move(at(10), at(5000)).to, 5100);
    EXPECT_EQ(plan_move(at(std::nullopt), at(5)).to, std::nullopt);
    EXPECT_EQ(plan_move(down(-10), down(-20)).to, -120);
}

TEST(sequences, go_beyond_what_sessions_of_the_old_side_have_in_their_caches) {
    auto cached = at(10);
    cached.cache = 5000;
    EXPECT_EQ(plan_move(cached, at(1)).to, 5010);
    auto steps = at(10);
    steps.increment = 10;
    EXPECT_EQ(plan_move(steps, steps).to, 1010);
}

TEST(sequences, stop_at_their_end) {
    auto small = at(std::nullopt);
    small.greatest = 32767;
    EXPECT_EQ(plan_move(at(32750), small).to, 32767);
    EXPECT_NE(plan_move(at(32768), small).objection, "");
    const auto most = std::numeric_limits<std::int64_t>::max();
    EXPECT_EQ(plan_move(at(most - 5), at(1)).to, most);
    EXPECT_EQ(plan_move(down(-950), down(-1)).to, -1000);
}

TEST(sequences, that_go_round_are_taken_over_as_they_are) {
    auto round = at(7);
    round.cycles = true;
    round.greatest = 9;
    EXPECT_EQ(plan_move(round, round).to, std::nullopt);
    auto other = round;
    other.last = 3;
    EXPECT_EQ(plan_move(round, other).to, 7);
    other.greatest = 5;
    EXPECT_NE(plan_move(round, other).objection, "");
}

TEST(sequences, that_count_the_other_way_are_refused) {
    EXPECT_NE(plan_move(at(1), down(-1)).objection, "");
}

}  // namespace
}  // namespace crossfade::handover
