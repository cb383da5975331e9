#include "proxy/frontend/peer.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <thread>

namespace crossfade::proxy::frontend {
namespace {

struct pair_of_sockets {
    std::array<int, 2> ends{-1, -1};

    ~pair_of_sockets() {
        for (const int each : ends)
            if (each >= 0) ::close(each);
    }
    void reset_the_other() {
        const linger at_once{1, 0};
        ::setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ::close(std::exchange(ends[1], -1));
        pollfd told{ends[0], POLLIN, 0};
        ASSERT_EQ(::poll(&told, 1, 5000), 1);
    }
};

void connect_by_unix(pair_of_sockets& made) {
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made.ends.data()), 0);
}

void connect_by_tcp(pair_of_sockets& made) {
    const int door = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(door, reinterpret_cast<const sockaddr*>(&address), length), 0);
    ASSERT_EQ(::listen(door, 1), 0);
    ::getsockname(door, reinterpret_cast<sockaddr*>(&address), &length);
    made.ends[1] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(made.ends[1], reinterpret_cast<const sockaddr*>(&address), length), 0);
    made.ends[0] = ::accept4(door, nullptr, nullptr, SOCK_CLOEXEC);
    ::close(door);
    ASSERT_GE(made.ends[0], 0);
}

TEST(address_of, a_client_that_is_there) {
    pair_of_sockets by_tcp;
    connect_by_tcp(by_tcp);
    const auto far = address_of(by_tcp.ends[0]);
    ASSERT_TRUE(far && *far);
    EXPECT_EQ(auth::to_string(**far), "127.0.0.1");

    pair_of_sockets by_unix;
    connect_by_unix(by_unix);
    const auto near = address_of(by_unix.ends[0]);
    ASSERT_TRUE(near);
    EXPECT_FALSE(*near);
}

// getpeername() says of both that nobody is connected.
TEST(address_of, a_client_that_has_left_is_a_local_one_by_a_unix_socket_alone) {
    pair_of_sockets by_tcp;
    connect_by_tcp(by_tcp);
    by_tcp.reset_the_other();
    EXPECT_FALSE(address_of(by_tcp.ends[0]));

    pair_of_sockets by_unix;
    connect_by_unix(by_unix);
    by_unix.reset_the_other();
    const auto near = address_of(by_unix.ends[0]);
    ASSERT_TRUE(near);
    EXPECT_FALSE(*near);
}

TEST(is_of_our_user, a_client_by_a_unix_socket_that_runs_as_we_do) {
    pair_of_sockets by_unix;
    connect_by_unix(by_unix);
    EXPECT_TRUE(is_of_our_user(by_unix.ends[0]));
    pair_of_sockets by_tcp;
    connect_by_tcp(by_tcp);
    EXPECT_FALSE(is_of_our_user(by_tcp.ends[0]));
}

TEST(is_of_our_user, a_client_of_another_user_does_not) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
    pair_of_sockets by_unix;
    // By the call itself it is the thread's user alone.
    std::thread{[&] {
        ASSERT_EQ(::syscall(SYS_setresuid, -1, 65534, -1), 0);
        connect_by_unix(by_unix);
    }}.join();
    EXPECT_FALSE(is_of_our_user(by_unix.ends[0]));
}

}  // namespace
}  // namespace crossfade::proxy::frontend
