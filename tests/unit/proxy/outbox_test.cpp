#include "proxy/frontend/outbox.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/proxy/end_of_line.hpp"

namespace crossfade::proxy::frontend {
namespace {

class outboxes : public testing::Test {
  protected:
    void SetUp() override {
        if (const auto why = out->open(); !why.empty()) GTEST_SKIP() << "the kernel gives no io_uring: " << why;
    }
    std::size_t left_over() { return out->left_over().size(); }
    // Until the socket takes no more; then nothing waits to be sent.
    static std::size_t fill(const end_of_line& line) {
        const std::string much(1 << 16, 'x');
        std::size_t sent = 0;
        for (ssize_t count = 0; count >= 0; sent += static_cast<std::size_t>(count)) {
            count = ::send(line.near.descriptor(), much.data(), much.size(), MSG_DONTWAIT);
            if (count < 0) break;
        }
        return sent;
    }

    asio::io_context context;
    std::unique_ptr<outbox> out = std::make_unique<outbox>();
    std::array<end_of_line, 3> lines{end_of_line{context}, end_of_line{context}, end_of_line{context}};
};

TEST_F(outboxes, keep_messages_until_the_round_is_over) {
    for (auto& line : lines) ASSERT_TRUE(line.near.send("hello", out.get()));
    for (auto& line : lines) EXPECT_EQ(line.hears(), "");
    out->deliver();
    for (auto& line : lines) {
        EXPECT_EQ(line.hears(), "hello");
        EXPECT_TRUE(line.near.all_sent());
    }
    EXPECT_EQ(left_over(), 0U);
}

TEST_F(outboxes, keep_the_order_of_a_connection) {
    auto& one = lines[0];
    const std::string too_long(outbox::longest + 1, 'b');
    ASSERT_TRUE(lines[1].near.send("!", out.get()));
    ASSERT_TRUE(one.near.send("a", out.get()));
    ASSERT_TRUE(one.near.send(too_long, out.get()));
    EXPECT_EQ(one.hears(), "a" + too_long) << "sent at once, behind what was in front";
    ASSERT_TRUE(one.near.send("c", out.get()));
    ASSERT_TRUE(one.near.send("d"));
    ASSERT_TRUE(one.near.send("e", out.get()));
    out->deliver();
    EXPECT_EQ(one.hears(), "cde");
}

TEST_F(outboxes, leave_to_the_connection_what_a_socket_does_not_take) {
    auto& slow = lines[1];
    auto before = fill(slow);
    for (auto& line : lines) ASSERT_TRUE(line.near.send("late", out.get()));
    out->deliver();
    EXPECT_EQ(left_over(), 1U);
    EXPECT_EQ(lines[0].hears(), "late");
    EXPECT_EQ(lines[2].hears(), "late");
    EXPECT_EQ(slow.near.waiting(), 4U);
    ASSERT_TRUE(slow.near.send("r", out.get()));
    EXPECT_EQ(slow.near.waiting(), 5U) << "behind what waits already";
    out->deliver();

    std::string got;
    for (std::string some; !(some = slow.hears()).empty(); slow.near.push()) got += some;
    EXPECT_EQ(got.size(), before + 5);
    EXPECT_TRUE(got.ends_with("xlater"));
}

TEST_F(outboxes, take_part_of_a_message_for_what_it_is) {
    auto& slow = lines[0];
    const auto before = fill(slow);
    ASSERT_FALSE(slow.hears(before / 2).empty());
    const std::string much(outbox::longest, 'y');
    std::size_t sent = 0;
    for (; slow.near.all_sent(); sent += much.size()) {
        ASSERT_TRUE(lines[1].near.send("!", out.get()));
        ASSERT_TRUE(slow.near.send(much, out.get()));
        out->deliver();
    }
    EXPECT_EQ(left_over(), 1U);
    std::size_t got = 0;
    for (std::string some; !(some = slow.hears()).empty(); slow.near.push()) got += some.size();
    EXPECT_EQ(got, before - before / 2 + sent);
}

TEST_F(outboxes, find_a_broken_connection_when_it_is_next_used) {
    lines[0].hang_up();
    for (auto& line : lines) ASSERT_TRUE(line.near.send("to nobody?", out.get()));
    out->deliver();
    EXPECT_EQ(left_over(), 1U);
    EXPECT_FALSE(lines[0].near.all_sent());
    EXPECT_FALSE(lines[0].near.push());
    EXPECT_EQ(lines[1].hears(), "to nobody?");
}

TEST_F(outboxes, deliver_before_a_connection_is_closed) {
    ASSERT_TRUE(lines[0].near.send("last words", out.get()));
    ASSERT_TRUE(lines[1].near.send("and last", out.get()));
    lines[0].near.close();
    EXPECT_EQ(lines[0].hears(), "last words");
    lines[1].near.shut_down();
    EXPECT_EQ(lines[1].hears(), "and last");
}

TEST_F(outboxes, deliver_when_they_are_full) {
    std::vector<std::unique_ptr<end_of_line>> many;
    for (int made = 0; made < 100; ++made) many.push_back(std::make_unique<end_of_line>(context));
    const auto round = [&](const std::string& bytes) {
        for (auto& line : many) ASSERT_TRUE(line->near.send(bytes, out.get()));
        EXPECT_EQ(many.front()->hears(), bytes);
        EXPECT_EQ(many.back()->hears(), "");
        out->deliver();
        EXPECT_EQ(many.back()->hears(), bytes);
        for (std::size_t each = 1; each + 1 < many.size(); ++each) EXPECT_EQ(many[each]->hears(), bytes) << each;
    };
    round("short");
    round(std::string(outbox::longest, 'l'));
    EXPECT_EQ(left_over(), 0U);
}

TEST(an_outbox, takes_nothing_without_a_ring) {
    asio::io_context context;
    end_of_line line{context};
    const auto out = std::make_unique<outbox>();
    ASSERT_TRUE(line.near.send("at once", out.get()));
    EXPECT_EQ(line.hears(), "at once");
}

}  // namespace
}  // namespace crossfade::proxy::frontend
