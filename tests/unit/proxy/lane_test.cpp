#include "proxy/frontend/lane.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace crossfade::proxy::frontend {
namespace {

// A transport outside of Asio, and the peer's end of its connection.
struct end_of_line {
    explicit end_of_line(asio::io_context& context) : near{stream_socket{context}} {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) != 0)
            throw std::runtime_error("socketpair");
        stream_socket socket{context};
        socket.assign({AF_UNIX, 0}, ends[0]);
        near = transport{std::move(socket)};
        near.leave_asio();
        peer = ends[1];
    }
    ~end_of_line() { hang_up(); }

    void says(std::string_view bytes) const {
        ASSERT_EQ(::send(peer, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    }
    std::string hears(std::size_t most = 1 << 20) const {
        std::string all;
        std::array<char, 4096> some;
        while (all.size() < most) {
            const auto count = ::recv(peer, some.data(), std::min(some.size(), most - all.size()), MSG_DONTWAIT);
            if (count <= 0) break;
            all.append(some.data(), static_cast<std::size_t>(count));
        }
        return all;
    }
    void hang_up() {
        if (peer >= 0) ::close(std::exchange(peer, -1));
    }

    transport near;
    int peer = -1;
};

class lanes : public testing::Test {
  protected:
    progress advance() { return way.advance(inspect, *scratch); }

    asio::io_context context;
    end_of_line from{context};
    end_of_line to{context};
    lane way{from.near, to.near};
    std::unique_ptr<scratch_space> scratch = std::make_unique<scratch_space>();
    std::vector<std::string> seen;
    std::function<inspection(std::string_view)> judge = [](std::string_view chunk) { return inspection{chunk.size()}; };
    std::function<inspection(std::string_view)> inspect = [this](std::string_view chunk) {
        seen.emplace_back(chunk);
        return judge(chunk);
    };
};

TEST_F(lanes, what_came_before_the_first_wait_is_passed_on) {
    from.says("early");
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.hears(), "early");
}

TEST_F(lanes, without_news_the_socket_is_not_asked) {
    EXPECT_EQ(advance(), progress::waits);
    from.says("quiet");
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.hears(), "");
    way.arrived(false);
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.hears(), "quiet");
}

TEST_F(lanes, what_is_kept_comes_again_in_front_of_the_next_bytes) {
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

TEST_F(lanes, something_else_can_go_on_in_its_place) {
    judge = [](std::string_view chunk) { return inspection{chunk.size(), false, "instead"}; };
    from.says("this");
    advance();
    EXPECT_EQ(to.hears(), "instead");
}

TEST_F(lanes, what_came_behind_the_greeting_goes_first) {
    way.begin_with("first ");
    from.says("second");
    EXPECT_EQ(advance(), progress::waits);
    EXPECT_EQ(to.hears(), "first second");
}

TEST_F(lanes, an_end_told_with_the_last_bytes_is_not_missed) {
    EXPECT_EQ(advance(), progress::waits);
    from.says("last words");
    from.hang_up();
    way.arrived(true);
    EXPECT_EQ(advance(), progress::ended);
    EXPECT_EQ(way.ended(), lane_end::from_closed);
    EXPECT_EQ(to.hears(), "last words");
}

TEST_F(lanes, a_receiver_that_is_gone_ends_it) {
    to.hang_up();
    from.says("to nobody");
    EXPECT_EQ(advance(), progress::ended);
    EXPECT_EQ(way.ended(), lane_end::to_failed);
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

TEST_F(lanes, takes_no_more_than_the_receiver_does) {
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

TEST_F(lanes, an_end_waits_for_the_receiver_to_take_what_came_before) {
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

TEST_F(lanes, so_does_a_stop) {
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

TEST_F(lanes, what_is_held_is_inspected_again_and_nothing_else_is_taken) {
    bool held = true;
    judge = [&held](std::string_view chunk) {
        return held ? inspection{0, false, {}, true} : inspection{chunk.size()};
    };
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

TEST_F(lanes, others_have_their_turn) {
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

TEST_F(lanes, no_buffer_is_kept_when_nothing_is_held) {
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
