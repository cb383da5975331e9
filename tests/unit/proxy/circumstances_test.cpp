#include "proxy/capture/circumstances.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace crossfade::proxy::capture {
namespace {

const setback for_the_topic{.state = publisher_state::stopped, .reason = {}, .way_out = {}, .for_the_topic = true};
const setback for_an_event{publisher_state::stopped, {}, {}};
const circumstances before{"pgoutput app 0/16B3748 f", false, 40, "1048588"};

struct change {
    const char* name;
    std::function<void(circumstances&)> made;
    bool worth;
};

class circumstances_of : public testing::TestWithParam<change> {};

TEST_P(circumstances_of, say_whether_to_look_again) {
    auto now = before;
    GetParam().made(now);
    EXPECT_EQ(worth_another_look(for_the_topic, before, now), GetParam().worth);
}

INSTANTIATE_TEST_SUITE_P(
    a_stop, circumstances_of,
    testing::Values(change{"nothing", [](auto&) {}, false},
                    change{"slot_dropped", [](auto& now) { now.slot.clear(); }, true},
                    change{"slot_made_anew", [](auto& now) { now.slot = "pgoutput app 0/16B3999 f"; }, true},
                    change{"a_mark_in_the_topic", [](auto& now) { now.topic_end = 41; }, true},
                    change{"the_topic_made_anew", [](auto& now) { now.topic_end = 0; }, true},
                    change{"larger_messages", [](auto& now) { now.message_limits = "16777216"; }, true}),
    [](const auto& each) { return std::string{each.param.name}; });

// Our own connection ends a moment after we have let go of the slot.
TEST(circumstances, do_not_count_a_slot_that_is_free_again) {
    auto held = before;
    held.held = true;
    EXPECT_FALSE(worth_another_look(for_the_topic, held, before));
}

// Of several that are stopped each would see the others' attempts.
TEST(circumstances, count_a_slot_that_is_held_from_one_look_to_the_next) {
    auto held = before;
    held.held = true;
    EXPECT_FALSE(worth_another_look(for_the_topic, before, held));
    EXPECT_TRUE(worth_another_look(for_the_topic, held, held));
}

// Each attempt leaves there what goes before the event.
TEST(circumstances, count_no_events_in_the_topic_where_it_is_not_the_topic_s) {
    auto now = before;
    now.topic_end = 41;
    EXPECT_FALSE(worth_another_look(for_an_event, before, now));
    now.message_limits = "16777216";
    EXPECT_TRUE(worth_another_look(for_an_event, before, now));
}

}  // namespace
}  // namespace crossfade::proxy::capture
