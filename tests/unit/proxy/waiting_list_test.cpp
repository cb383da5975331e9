#include "proxy/mirror/waiting_list.hpp"

#include <gtest/gtest.h>

#include <string>

namespace crossfade::proxy::mirror {
namespace {

using namespace std::chrono_literals;

class a_waiting_list : public testing::Test {
  protected:
    bool enter(const std::string& name) {
        return list_.enter(now_, timeout, [this, name](wait_end) { told_ += name; });
    }
    void mark(std::uint64_t number) {
        list_.mark_begun();
        list_.mark_made(number, now_);
    }
    // Whose waits have ended, in their order, with how: "a+" applied, "b-" late.
    std::string ended() {
        std::string text;
        for (const auto& each : list_.take_ended()) {
            each.tell(each.how);
            text += std::exchange(told_, {}) + (each.how == wait_end::applied ? '+' : '-');
        }
        return text;
    }
    void pass(std::chrono::milliseconds time) {
        now_ += time;
        list_.look_at_clock(now_, timeout);
    }
    // A probe that comes through after that time.
    void probe(std::chrono::milliseconds takes) {
        pass(waiting_list::probe_interval);
        ASSERT_TRUE(list_.wants_mark());
        mark(++newest_);
        now_ += takes;
        list_.applied(newest_, now_);
        EXPECT_EQ(ended(), "") << "nobody waits for it";
    }

    static constexpr auto timeout = 1000ms;
    waiting_list list_;
    waiting_list::clock::time_point now_{100h};
    std::uint64_t newest_ = 1000;
    std::string told_;
};

TEST_F(a_waiting_list, has_one_mark_for_all_who_wait) {
    EXPECT_FALSE(list_.wants_mark());
    enter("a");
    enter("b");
    EXPECT_TRUE(list_.wants_mark());
    mark(10);
    EXPECT_FALSE(list_.wants_mark());
    list_.applied(9, now_);
    EXPECT_EQ(ended(), "");
    list_.applied(10, now_);
    EXPECT_EQ(ended(), "a+b+");
    EXPECT_EQ(list_.waiting(), 0U);
}

TEST_F(a_waiting_list, gives_no_mark_to_those_who_came_after_it_was_asked_for) {
    enter("a");
    list_.mark_begun();
    enter("b");
    EXPECT_FALSE(list_.wants_mark()) << "one at a time";
    list_.mark_made(10, now_);
    list_.applied(10, now_);
    EXPECT_EQ(ended(), "a+") << "b may have committed behind the mark";
    EXPECT_TRUE(list_.wants_mark());
    list_.mark_begun();
    list_.applied(11, now_);
    list_.mark_made(11, now_);
    EXPECT_EQ(ended(), "b+") << "the news may be quicker than the answer";
}

TEST_F(a_waiting_list, asks_again_for_a_mark_that_was_not_made) {
    enter("a");
    list_.mark_begun();
    enter("b");
    list_.mark_made(std::nullopt, now_);
    list_.applied(9, now_);
    EXPECT_EQ(ended(), "");
    EXPECT_TRUE(list_.wants_mark());
    mark(10);
    EXPECT_EQ(ended(), "");
    list_.applied(10, now_);
    EXPECT_EQ(ended(), "a+b+");
}

TEST_F(a_waiting_list, lets_nobody_wait_for_longer_than_the_timeout) {
    enter("a");
    mark(10);
    pass(400ms);
    enter("b");
    list_.mark_begun();
    pass(300ms);
    pass(299ms);
    EXPECT_EQ(ended(), "");
    EXPECT_FALSE(list_.degraded());
    pass(1ms);
    EXPECT_EQ(ended(), "a-");
    EXPECT_TRUE(list_.degraded());
    EXPECT_FALSE(enter("c")) << "others don't wait any more";
    pass(400ms);
    EXPECT_EQ(ended(), "b-") << "whether or not its mark is made";
    list_.mark_made(20, now_);
    list_.applied(30, now_);
    EXPECT_EQ(ended(), "");
}

TEST_F(a_waiting_list, recovers_by_three_quick_probes_in_a_row) {
    enter("a");
    pass(1000ms);
    ASSERT_EQ(ended(), "a-");
    probe(10ms);
    probe(500ms);
    EXPECT_TRUE(list_.degraded());
    probe(501ms);  // too slow, and the count begins anew
    probe(10ms);
    probe(10ms);
    EXPECT_TRUE(list_.degraded());
    probe(10ms);
    EXPECT_FALSE(list_.degraded());
    EXPECT_TRUE(enter("b"));
    pass(waiting_list::probe_interval);
    mark(5000);
    list_.applied(5000, now_);
    EXPECT_EQ(ended(), "b+");
}

TEST_F(a_waiting_list, has_one_probe_at_a_time_and_tries_again_after_a_late_one) {
    enter("a");
    pass(1000ms);
    ended();
    pass(500ms);
    EXPECT_EQ(list_.waiting(), 1U);
    pass(500ms);
    EXPECT_EQ(list_.waiting(), 1U);
    pass(500ms);  // it is late by now
    EXPECT_EQ(ended(), "");
    EXPECT_TRUE(list_.degraded());
    EXPECT_EQ(list_.waiting(), 1U) << "the next one";
}

// Of a stream that is still at what an old primary had.
TEST_F(a_waiting_list, is_not_ended_by_an_older_mark) {
    enter("a");
    mark(1);
    enter("b");
    mark(2);
    list_.applied(1, now_);
    EXPECT_EQ(ended(), "a+");
    enter("c");
    mark(3);
    list_.applied(1, now_);
    EXPECT_EQ(ended(), "");
    list_.applied(3, now_);
    EXPECT_EQ(ended(), "b+c+");
}

TEST_F(a_waiting_list, makes_another_mark_where_the_news_may_have_been_missed) {
    enter("a");
    mark(1);
    list_.news_missed();
    EXPECT_TRUE(list_.wants_mark());
    list_.mark_begun();
    list_.mark_made(std::nullopt, now_);
    EXPECT_TRUE(list_.wants_mark());
    mark(2);
    EXPECT_FALSE(list_.wants_mark());
    list_.applied(2, now_);
    EXPECT_EQ(ended(), "a+");
    list_.news_missed();
    EXPECT_FALSE(list_.wants_mark()) << "nobody waits";
}

TEST_F(a_waiting_list, tells_everybody_when_it_is_given_up) {
    enter("a");
    mark(10);
    enter("b");
    list_.mark_begun();
    enter("c");
    list_.give_up(now_);
    EXPECT_EQ(ended(), "a-b-c-");
    EXPECT_EQ(list_.waiting(), 0U);
}

}  // namespace
}  // namespace crossfade::proxy::mirror
