#include "cdc/apply/doubtful_times.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace crossfade::cdc::apply {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<const model::relation> items(const std::vector<std::string>& columns) {
    auto rel = std::make_shared<model::relation>();
    rel->table = {"public", "items"};
    for (const auto& each : columns) rel->columns.push_back({.name = each, .type_oid = 25});
    return rel;
}

model::change_event at(std::chrono::seconds time, std::uint32_t timeline = 1) {
    model::change_event event;
    event.at.timeline = timeline;
    event.commit_time = model::source_time{1'000'000s + time};
    return event;
}

store::progress on(std::uint32_t timeline, std::vector<model::timeline_end> left = {}) {
    store::progress made;
    made.timeline = timeline;
    made.left = std::move(left);
    return made;
}

TEST(doubtful_times, begin_with_a_table_and_with_each_of_its_shapes) {
    doubtful_times doubts{on(1)};
    const auto before = items({"id", "a", "b"});
    EXPECT_TRUE(doubts.about(at(0s), before, 11s)) << "for all that one knows";
    EXPECT_TRUE(doubts.about(at(10s), items({"id", "a", "b"}), 11s));
    EXPECT_FALSE(doubts.about(at(11s), before, 11s));
    const auto after = items({"id", "b", "c"});
    EXPECT_TRUE(doubts.about(at(100s), after, 11s));
    EXPECT_TRUE(doubts.about(at(110s), after, 11s));
    EXPECT_FALSE(doubts.about(at(111s), after, 11s));
    // The batch is looked at once more.
    EXPECT_FALSE(doubts.about(at(111s), items({"id", "b", "c"}), 11s));
    EXPECT_TRUE(doubts.about(at(112s), before, 11s));
}

TEST(doubtful_times, begin_with_a_timeline) {
    doubtful_times doubts{on(1)};
    const auto rel = items({"id"});
    EXPECT_TRUE(doubts.about(at(0s), rel, 0s) || doubts.about(at(1s), rel, 10s));
    EXPECT_FALSE(doubts.about(at(60s), rel, 10s));
    EXPECT_TRUE(doubts.about(at(61s, 2), rel, 10s));
    EXPECT_TRUE(doubts.about(at(900s, 2), rel, 10s));
    EXPECT_FALSE(doubts.about(at(961s, 2), rel, 10s));
}

// When that was nobody has written down.
TEST(doubtful_times, begin_anew_with_the_program_where_a_timeline_was_left) {
    doubtful_times doubts{on(2, {{1, {}}})};
    const auto rel = items({"id"});
    EXPECT_TRUE(doubts.about(at(0s, 2), rel, 0s));
    EXPECT_TRUE(doubts.about(at(899s, 2), rel, 0s));
    EXPECT_FALSE(doubts.about(at(900s, 2), rel, 0s));
    doubtful_times not_left{on(2)};
    EXPECT_FALSE(not_left.about(at(0s, 2), rel, 0s));
}

}  // namespace
}  // namespace crossfade::cdc::apply
