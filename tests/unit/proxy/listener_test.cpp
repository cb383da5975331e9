#include "proxy/frontend/listener.hpp"

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "tests/support/temp_dir.hpp"

namespace crossfade::proxy::frontend {
namespace {

class a_listener_on_a_unix_socket : public testing::Test {
  protected:
    void listen(std::optional<listener>& on, bool shares = false) {
        settings::proxy by;
        by.listen = {.host = dir_.path().string(), .port = 6432};
        by.reuse_port = shares;
        on.emplace(context_, by, std::vector<int>{}, [](int, int) {});
    }
    bool is_there() const { return std::filesystem::exists(dir_.path() / ".s.PGSQL.6432"); }

    support::temp_dir dir_;
    boost::asio::io_context context_;
    std::optional<listener> first_;
    std::optional<listener> second_;
};

TEST_F(a_listener_on_a_unix_socket, does_not_take_it_from_who_listens_there) {
    listen(first_);
    try {
        listen(second_);
        FAIL() << "it has taken the socket";
    } catch (const std::system_error& why) {
        EXPECT_EQ(why.code().value(), EADDRINUSE) << why.what();
    }
    EXPECT_TRUE(is_there());
    first_.reset();
    EXPECT_FALSE(is_there());
    listen(second_);
    EXPECT_TRUE(is_there());
}

TEST_F(a_listener_on_a_unix_socket, leaves_it_to_the_next_one_where_both_share_it) {
    listen(first_, true);
    listen(second_, true);
    first_.reset();
    EXPECT_TRUE(is_there());
    second_.reset();
    EXPECT_FALSE(is_there());
}

// Its file is left by one that was killed.
TEST_F(a_listener_on_a_unix_socket, takes_one_that_nobody_answers_on) {
    listen(first_);
    std::filesystem::create_hard_link(dir_.path() / ".s.PGSQL.6432", dir_.path() / "kept");
    first_.reset();
    std::filesystem::rename(dir_.path() / "kept", dir_.path() / ".s.PGSQL.6432");
    ASSERT_TRUE(is_there());
    listen(second_);
    EXPECT_TRUE(is_there());
}

// The service manager listens on, for the next process: who waits in its queue is that one's.
TEST(a_listener_on_passed_sockets, leaves_those_who_wait_to_the_next_one) {
    const int kept = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(kept, reinterpret_cast<const sockaddr*>(&address), length), 0);
    ASSERT_EQ(::listen(kept, 8), 0);
    ASSERT_EQ(::getsockname(kept, reinterpret_cast<sockaddr*>(&address), &length), 0);
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&address), length), 0);

    boost::asio::io_context context;
    unsigned taken = 0;
    listener stopping{context, settings::proxy{}, {::dup(kept)}, [&](int connected, int) {
                          ++taken;
                          ::close(connected);
                      }};
    stopping.stop();
    EXPECT_EQ(taken, 0U);
    pollfd queue{kept, POLLIN, 0};
    ASSERT_EQ(::poll(&queue, 1, 5000), 1) << "nobody waits";
    const int found = ::accept4(kept, nullptr, nullptr, SOCK_CLOEXEC);
    EXPECT_GE(found, 0);
    for (const int each : {found, client, kept}) ::close(each);
}

}  // namespace
}  // namespace crossfade::proxy::frontend
