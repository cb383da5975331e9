#include "proxy/frontend/sockets.hpp"

#include <array>
#include <boost/asio/ip/tcp.hpp>

namespace crossfade::proxy::frontend {

void prepare(stream_socket& socket) {
    error_code unsupported;  // a Unix socket has neither
    socket.set_option(asio::ip::tcp::no_delay{true}, unsupported);
    socket.set_option(asio::socket_base::keep_alive{true}, unsupported);
    socket.non_blocking(true);
}

asio::awaitable<error_code> write_all(stream_socket& to, std::string_view bytes) {
    while (!bytes.empty()) {
        error_code failed;
        bytes.remove_prefix(to.send(asio::buffer(bytes), 0, failed));
        if (failed == asio::error::would_block) {
            const auto [interrupted] = co_await to.async_wait(stream_socket::wait_write, use_result);
            if (interrupted && !to.is_open()) co_return interrupted;
        } else if (failed) {
            co_return failed;
        }
    }
    co_return error_code{};
}

asio::awaitable<void> finish_sending(stream_socket& socket) {
    error_code failed;
    socket.shutdown(stream_socket::shutdown_send, failed);
    std::array<char, 4096> ignored{};
    while (!failed) {
        const auto [ended, read] = co_await socket.async_receive(asio::buffer(ignored), use_result);
        failed = ended;
    }
}

}  // namespace crossfade::proxy::frontend
