#include "lib/handover/sequences.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

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

TEST(sequences, that_may_not_be_read_or_set_are_named) {
    auto unread = at(std::nullopt);
    unread.may_read = false;
    EXPECT_NE(plan_move(unread, at(5)).objection, "");
    EXPECT_NE(plan_move(at(5), unread).objection, "");
    auto unset = at(5);
    unset.may_set = false;
    EXPECT_NE(plan_move(at(5), unset).objection, "");
    EXPECT_EQ(plan_move(unset, at(5)).objection, "");
}

sequence named(const std::string& name, const std::string& column = {}) {
    return {.column = column, .name = name, .last = std::nullopt};
}

// "one > other": those that go together, and those of the first side that go with none.
std::vector<std::string> together(const std::vector<sequence>& drawing, const std::vector<sequence>& joining) {
    const auto found = match(drawing, joining);
    std::vector<std::string> all;
    for (const auto& [one, other] : found.pairs) all.push_back(one.name + " > " + other.name);
    for (const auto& each : found.alone) all.push_back(each.name + " >");
    std::ranges::sort(all);
    return all;
}

using texts = std::vector<std::string>;

TEST(sequences, of_one_column_go_together_whatever_their_names) {
    EXPECT_EQ(together({named("a", "t.id")}, {named("b", "t.id")}), (texts{"a > b"}));
    EXPECT_EQ(together({named("a", "t.id")}, {named("b", "u.id")}), (texts{"a >"}));
    EXPECT_EQ(together({named("a", "t.id")}, {named("a", "u.id")}), (texts{"a >"}));
    // One that serves two.
    EXPECT_EQ(together({named("a", "t.id"), named("a", "u.id")}, {named("b", "t.id"), named("c", "u.id")}),
              (texts{"a > b", "a > c"}));
}

// Its serial of old, and the one that its default draws from since.
TEST(sequences, of_a_column_that_has_two_go_by_their_names) {
    const std::vector<sequence> two{named("common", "t.id"), named("old", "t.id")};
    EXPECT_EQ(together(two, two), (texts{"common > common", "old > old"}));
    EXPECT_EQ(together(two, {named("old", "t.id")}), (texts{"common > old", "old > old"}));
    EXPECT_EQ(together({named("old", "t.id")}, two), (texts{"old > common", "old > old"}));
    EXPECT_EQ(together(two, {named("other", "t.id")}), (texts{"common > other", "old > other"}));
    EXPECT_EQ(serving_several(match(two, two).pairs), texts{});
    EXPECT_EQ(serving_several(match(two, {named("old", "t.id")}).pairs), texts{"old"});
}

TEST(sequences, without_a_column_go_by_their_names) {
    EXPECT_EQ(together({named("a"), named("b")}, {named("a"), named("c")}), (texts{"a > a", "b >"}));
    EXPECT_EQ(together({named("a")}, {named("a", "t.id")}), (texts{"a > a"}));
    EXPECT_EQ(together({named("a", "t.id")}, {named("a")}), (texts{"a > a"}));
}

}  // namespace
}  // namespace crossfade::handover
