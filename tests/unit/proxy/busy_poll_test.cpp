#include "proxy/frontend/busy_poll.hpp"

#include <gtest/gtest.h>

namespace crossfade::proxy::frontend {
namespace {

using namespace std::chrono_literals;

constexpr bool client = false;
constexpr bool server = true;

struct busy_polls : testing::Test {
    busy_polls() { poll.allow(100us); }
    bool worth() const { return poll.worth() > 0us; }

    busy_poll poll;
    int one = 0;
    int other = 0;
};

TEST_F(busy_polls, nothing_is_worth_it_where_it_is_not_allowed) {
    poll.allow(0us);
    for (int turn = 0; turn < 5; ++turn) poll.told(&one, turn % 2 == 0, 0us);
    EXPECT_FALSE(poll.allowed());
    EXPECT_FALSE(worth());
}

TEST_F(busy_polls, one_session_that_goes_to_and_fro_is_waited_for_awake) {
    EXPECT_FALSE(worth());
    poll.told(&one, client, 1s);
    EXPECT_FALSE(worth()) << "it may be one of many";
    poll.told(&one, server, 50us);
    EXPECT_EQ(poll.worth(), 100us);
    poll.told(&one, client, 50us);
    EXPECT_EQ(poll.worth(), 100us);
}

TEST_F(busy_polls, sessions_that_take_turns_are_waited_for_asleep) {
    for (int turn = 0; turn < 4; ++turn) {
        poll.told(&one, client, 10us);
        EXPECT_FALSE(worth());
        poll.told(&other, client, 10us);
        EXPECT_FALSE(worth());
    }
}

TEST_F(busy_polls, several_sockets_at_once_are_several_sessions) {
    poll.told(&one, client, 10us);
    poll.told(&one, server, 10us);
    poll.told(nullptr, false, 10us);
    EXPECT_FALSE(worth());
    poll.told(&one, client, 10us);
    EXPECT_FALSE(worth());
}

// Else each pause for thought would cost the next answer its speed, and each answer would cost the next pause a poll.
TEST_F(busy_polls, a_client_that_thinks_for_long_keeps_its_server_s_answers_soon) {
    poll.told(&one, client, 1s);
    poll.told(&one, server, 50us);
    for (int turn = 0; turn < 4; ++turn) {
        poll.told(&one, client, 1s);
        EXPECT_TRUE(worth()) << "the server has always answered soon";
        poll.told(&one, server, 50us);
        EXPECT_FALSE(worth()) << "the client never did";
    }
}

TEST_F(busy_polls, a_short_wait_makes_the_next_one_worth_it_again) {
    poll.told(&one, client, 1s);
    poll.told(&one, server, 50us);
    poll.told(&one, client, 1s);
    poll.told(&one, server, 50us);
    ASSERT_FALSE(worth());
    poll.told(&one, client, 99us);
    poll.told(&one, server, 50us);
    EXPECT_TRUE(worth());
}

}  // namespace
}  // namespace crossfade::proxy::frontend
