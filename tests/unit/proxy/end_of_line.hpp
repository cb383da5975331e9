#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/frontend/transport.hpp"

namespace crossfade::proxy::frontend {

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

}  // namespace crossfade::proxy::frontend
