#include "proxy/frontend/sockets.hpp"

#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>

namespace crossfade::proxy::frontend {

namespace {

void set(stream_socket& socket, int option, std::int64_t value) {
    // A Unix socket refuses all of them.
    const int given = static_cast<int>(value);
    if (given > 0) ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &given, sizeof given);
}

std::int64_t whole_seconds(std::chrono::milliseconds time) {
    return time.count() == 0 ? 0 : std::max<std::int64_t>(1, time.count() / 1000);
}

}  // namespace

void prepare(stream_socket& socket, const settings::proxy& by) {
    error_code unsupported;  // a Unix socket has neither
    socket.set_option(asio::ip::tcp::no_delay{true}, unsupported);
    socket.set_option(asio::socket_base::keep_alive{true}, unsupported);
    set(socket, TCP_KEEPIDLE, whole_seconds(by.tcp_keepalive_idle));
    set(socket, TCP_KEEPINTVL, whole_seconds(by.tcp_keepalive_interval));
    set(socket, TCP_KEEPCNT, by.tcp_keepalive_count);
    set(socket, TCP_USER_TIMEOUT, by.tcp_user_timeout.count());
    socket.non_blocking(true);
}

bool has_hung_up(int socket) {
    pollfd one{.fd = socket, .events = POLLRDHUP, .revents = 0};
    return ::poll(&one, 1, 0) > 0;
}

bool has_something_to_read(int socket) {
    pollfd one{.fd = socket, .events = POLLIN | POLLRDHUP, .revents = 0};
    return ::poll(&one, 1, 0) > 0;
}

}  // namespace crossfade::proxy::frontend
