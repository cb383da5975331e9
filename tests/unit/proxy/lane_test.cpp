#include "proxy/frontend/lane.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/unit/proxy/end_of_line.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace std::chrono_literals;

// Each with messages that are sent one by one, and with those of a round sent together.
class lanes : public testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        if (!GetParam()) return;
        if (const auto why = scratch->out.open(); !why.empty()) GTEST_SKIP() << "the kernel gives no io_uring: " << why;
    }
    progress advance() {
        // Another session's, without which there would be nothing to send together.
        bystander.near.send("!", &scratch->out);
        auto how = way.advance(inspect, *scratch);
        scratch->out.deliver();
        EXPECT_EQ(bystander.hears(), "!");
        if (!scratch->out.left_over().empty()) how = way.advance(inspect, *scratch);
        return how;
    }

    asio::io_context context;
    end_of_line from{context};
    end_of_line to{context};
    end_of_line bystander{context};
    lane way{from.near, to.near};
    std::unique_ptr<scratch_space> scratch = std::make_unique<scratch_space>();
    std::vector<std::string> seen;
    std::function<inspection(std::string_view)> judge = [](std::string_view chunk) { return inspection{chunk.size()}; };
    std::function<inspection(std::string_view)> inspect = [this](std::string_view chunk) {
        seen.emplace_back(chunk);
        return judge(chunk);
    };
};

INSTANTIATE_TEST_SUITE_P(, lanes, testing::Bool(),
                         [](const auto& each) { return each.param ? "together" : "one_by_one"; });

TEST_P(lanes, what_came_before_the_first_wait_is_passed_on) {
    from.says("early");
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.hears(), "early");
}

TEST_P(lanes, without_news_the_socket_is_not_asked) {
    EXPECT_EQ(advance(), progress::waits);
    from.says("quiet");
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.hears(), "");
    way.arrived(false);
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.hears(), "quiet");
}

TEST_P(lanes, what_is_kept_comes_again_in_front_of_the_next_bytes) {
    judge = [](std::string_view chunk) { return inspection{chunk.size() / 2}; };
    from.says("abcde");
    advance();
    EXPECT_EQ(to.hears(), "ab");
    from.says("f");
    way.arrived(false);
    advance();
    EXPECT_EQ(seen, (std::vector<std::string>{"abcde", "cdef"}));
    EXPECT_EQ(to.hears(), "cd");
    EXPECT_FALSE(way.holds_nothing());
}

TEST_P(lanes, something_else_can_go_on_in_its_place) {
    judge = [](std::string_view chunk) { return inspection{chunk.size(), false, "instead"}; };
    from.says("this");
    advance();
    EXPECT_EQ(to.hears(), "instead");
}

TEST_P(lanes, what_came_behind_the_greeting_goes_first) {
    way.begin_with("first ");
    from.says("second");
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.hears(), "first second");
}

// A session that waited to change its database brings along what it was told meanwhile.
TEST_P(lanes, what_came_before_may_be_more_than_there_is_room_for) {
    std::string much;
    for (int n = 0; much.size() < 300'000; ++n) much += std::to_string(n) + ' ';
    judge = [this](std::string_view chunk) {
        EXPECT_LE(chunk.size(), scratch->plain.size());
        // Sometimes less goes on than was shown.
        return inspection{seen.size() % 3 == 0 ? chunk.size() : chunk.size() - chunk.size() / 100};
    };
    way.begin_with(much);
    from.says("behind it");
    std::string got;
    support::eventually(10s, [&] {
        advance();
        const auto some = to.hears();
        got += some;
        return some.empty();
    });
    judge = [](std::string_view chunk) { return inspection{chunk.size()}; };
    way.go_on();
    advance();
    got += to.hears();
    EXPECT_TRUE(got == much + "behind it") << got.size() << " of " << much.size();
    EXPECT_TRUE(way.holds_nothing());
    EXPECT_LT(way.memory(), 100U);
}

TEST_P(lanes, nothing_of_what_came_before_goes_on_behind_a_stop) {
    judge = [](std::string_view chunk) { return inspection{chunk.size(), true}; };
    way.begin_with(std::string(150'000, 'x'));
    std::string got;
    for (std::string some; advance() != progress::ended; got += some) some = to.hears();
    EXPECT_EQ(way.ended(), lane_end::stopped);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(got + to.hears(), seen.front());
}

TEST_P(lanes, an_inspector_that_never_has_enough_ends_it) {
    judge = [this](std::string_view chunk) {
        EXPECT_LE(chunk.size(), scratch->plain.size());
        return inspection{};
    };
    const std::string much(16'000, 'x');
    EXPECT_TRUE(support::eventually(10s, [&] {
        ::send(from.peer, much.data(), much.size(), MSG_DONTWAIT);
        way.arrived(false);
        return advance() == progress::ended;
    }));
    EXPECT_EQ(way.ended(), lane_end::kept_too_much);
    EXPECT_LE(way.memory(), scratch->plain.size());
    EXPECT_EQ(to.hears(), "");
}

TEST_P(lanes, an_end_told_with_the_last_bytes_is_not_missed) {
    EXPECT_EQ(advance(), progress::waits);
    from.says("last words");
    from.hang_up();
    way.arrived(true);
    EXPECT_EQ(advance(), progress::ended);
    EXPECT_EQ(way.ended(), lane_end::from_closed);
    EXPECT_EQ(to.hears(), "last words");
}

TEST_P(lanes, a_receiver_that_is_gone_ends_it) {
    to.hang_up();
    from.says("to nobody");
    EXPECT_EQ(advance(), progress::ended);
    EXPECT_EQ(way.ended(), lane_end::to_failed);
}

TEST_P(lanes, goes_on_where_another_receiver_takes_its_place) {
    to.hang_up();
    from.says("to nobody");
    EXPECT_EQ(advance(), progress::ended);
    end_of_line another{context};
    to.near = std::move(another.near);
    way.receiver_is_another();
    from.says("to somebody");
    way.arrived(false);
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(another.hears(), "to somebody");
}

// Until the receiver takes no more.
std::size_t fill(lane& way, const end_of_line& from, const std::function<progress()>& advance, transport& into) {
    const std::string much(1 << 16, 'x');
    std::size_t sent = 0;
    while (into.all_sent()) {
        const auto count = ::send(from.peer, much.data(), much.size(), MSG_DONTWAIT);
        if (count > 0) sent += static_cast<std::size_t>(count);
        way.arrived(false);
        advance();
    }
    return sent;
}

TEST_P(lanes, takes_no_more_than_the_receiver_does) {
    auto sent = fill(
        way, from, [this] { return advance(); }, to.near);
    const auto waiting = to.near.waiting();
    EXPECT_LE(waiting, scratch->plain.size());
    from.says("more");
    sent += 4;
    way.arrived(false);
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.near.waiting(), waiting) << "what the receiver doesn't read stays with the sender";

    std::string got;
    for (std::string some; !(some = to.hears()).empty(); advance()) got += some;
    EXPECT_EQ(got.size(), sent);
    EXPECT_TRUE(got.ends_with("more"));
    EXPECT_TRUE(to.near.all_sent());
}

TEST_P(lanes, an_end_waits_for_the_receiver_to_take_what_came_before) {
    const auto sent = fill(
        way, from, [this] { return advance(); }, to.near);
    from.hang_up();
    way.arrived(true);
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_FALSE(way.ended());
    std::size_t got = 0;
    for (std::string some; !(some = to.hears()).empty(); advance()) got += some.size();
    EXPECT_EQ(got, sent);
    EXPECT_EQ(way.ended(), lane_end::from_closed);
}

TEST_P(lanes, so_does_a_stop) {
    fill(
        way, from, [this] { return advance(); }, to.near);
    judge = [](std::string_view chunk) { return inspection{chunk.size(), true}; };
    from.says("the last");
    way.arrived(false);
    std::string got;
    for (std::string some; !(some = to.hears()).empty(); advance()) got += some;
    EXPECT_TRUE(got.ends_with("the last"));
    EXPECT_EQ(way.ended(), lane_end::stopped);
    from.says("ignored");
    way.arrived(false);
    EXPECT_EQ(advance(), progress::ended);
    EXPECT_EQ(to.hears(), "");
}

TEST_P(lanes, what_is_held_is_inspected_again_and_nothing_else_is_taken) {
    bool held = true;
    judge = [&held](std::string_view chunk) { return held ? inspection{.hold = true} : inspection{chunk.size()}; };
    from.says("statement");
    EXPECT_EQ(advance(), progress::holds);
    EXPECT_EQ(to.hears(), "");
    way.go_on();
    EXPECT_EQ(advance(), progress::holds);
    held = false;
    way.go_on();
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.hears(), "statement");
    EXPECT_EQ(seen, (std::vector<std::string>{"statement", "statement", "statement"}));
}

TEST_P(lanes, others_have_their_turn) {
    const std::string much(1 << 16, 'x');
    judge = [&](std::string_view chunk) {
        to.hears();
        while (::send(from.peer, much.data(), much.size(), MSG_DONTWAIT) > 0) {
        }
        return inspection{chunk.size()};
    };
    from.says("begin");
    way.arrived(false);
    ASSERT_EQ(advance(), progress::waits);
    way.arrived(false);
    EXPECT_EQ(advance(), progress::tired);
    EXPECT_GT(seen.size(), 4U);
}

TEST_P(lanes, no_buffer_is_kept_when_nothing_is_held) {
    judge = [](std::string_view) { return inspection{0}; };
    from.says(std::string(1000, 'h'));
    advance();
    EXPECT_GE(way.memory(), 1000U);
    judge = [](std::string_view chunk) { return inspection{chunk.size()}; };
    from.says("!");
    way.arrived(false);
    advance();
    EXPECT_LT(way.memory(), 100U);
}

}  // namespace
}  // namespace crossfade::proxy::frontend
