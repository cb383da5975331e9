#include "proxy/frontend/listener.hpp"

#include <netdb.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

namespace crossfade::proxy::frontend {
namespace {

namespace asio = boost::asio;
constexpr auto use_result = asio::as_tuple(asio::use_awaitable);

// Out of descriptors or memory: how long to leave the queue alone.
constexpr std::chrono::milliseconds pause{100};

// More than the kernel's queue holds by default (SOMAXCONN).
constexpr int most_left_over = 8192;

[[noreturn]] void fail(const settings::endpoint& at, const char* step) {
    throw std::system_error(errno, std::generic_category(), "proxy.listen " + settings::to_string(at) + ": " + step);
}

enum class port_use { alone, shared };

int open_door(const settings::endpoint& at, const sockaddr* address, socklen_t length, port_use use) {
    const int made = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0) fail(at, "socket");
    const int on = 1;
    ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (use == port_use::shared) ::setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (address->sa_family == AF_INET6) ::setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(made, address, length) != 0 || ::listen(made, SOMAXCONN) != 0) {
        const int reason = errno;
        ::close(made);
        errno = reason;
        fail(at, "bind");
    }
    return made;
}

bool is_answered(const sockaddr_un& address) {
    const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0) return false;
    const bool answered = ::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
                          errno == EAGAIN;  // its queue is full
    ::close(made);
    return answered;
}

std::optional<std::pair<dev_t, ino_t>> file_at(const std::string& path) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) return std::nullopt;
    return std::pair{found.st_dev, found.st_ino};
}

std::uint16_t bound_port(int socket) {
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &length);
    if (bound.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
    if (bound.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(bound).sin6_port);
    return 0;
}

}  // namespace

listener::listener(asio::io_context& context, const settings::proxy& by, const std::vector<int>& passed, hand_over take)
    : context_(context), take_(std::move(take)), were_passed_(!passed.empty()), port_(by.listen.port) {
    for (const int each : passed) {
        sockaddr_storage bound{};
        socklen_t length = sizeof bound;
        ::getsockname(each, reinterpret_cast<sockaddr*>(&bound), &length);
        doors_.push_back({asio::posix::stream_descriptor{context_, each}, bound.ss_family});
        port_ = bound_port(each);
    }
    if (were_passed_) return;
    const auto& at = by.listen;
    const auto use = by.reuse_port ? port_use::shared : port_use::alone;
    if (at.host.starts_with('/')) {
        unix_path_ = at.host + "/.s.PGSQL." + std::to_string(at.port);
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        if (unix_path_.size() >= sizeof address.sun_path) {
            errno = ENAMETOOLONG;
            fail(at, "bind");
        }
        std::memcpy(address.sun_path, unix_path_.data(), unix_path_.size());
        // As of a port: one that somebody listens on is taken from him only where both say so.
        if (use == port_use::alone && is_answered(address)) {
            errno = EADDRINUSE;
            fail(at, "bind");
        }
        ::unlink(unix_path_.c_str());
        doors_.push_back(
            {asio::posix::stream_descriptor{
                 context_, open_door(at, reinterpret_cast<const sockaddr*>(&address), sizeof address, port_use::alone)},
             AF_UNIX});
        unix_file_ = file_at(unix_path_);
        return;
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo* found = nullptr;
    const auto* host = at.host.empty() || at.host == "*" ? nullptr : at.host.c_str();
    if (const int failed = ::getaddrinfo(host, std::to_string(at.port).c_str(), &hints, &found))
        throw std::system_error(std::make_error_code(std::errc::address_not_available),
                                "proxy.listen " + settings::to_string(at) + ": " + ::gai_strerror(failed));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses{found, &::freeaddrinfo};
    for (const auto* address = found; address != nullptr; address = address->ai_next) {
        const int made = open_door(at, address->ai_addr, address->ai_addrlen, use);
        doors_.push_back({asio::posix::stream_descriptor{context_, made}, address->ai_family});
        port_ = bound_port(made);
        if (at.port == 0) break;  // another address would get another port
    }
}

listener::~listener() {
    // Not another one's, who has taken the path over.
    if (unix_file_ && file_at(unix_path_) == unix_file_) ::unlink(unix_path_.c_str());
}

void listener::start() {
    for (std::size_t index = 0; index < doors_.size(); ++index)
        asio::co_spawn(context_, accept(index), [](const std::exception_ptr& thrown) {
            if (thrown) std::rethrow_exception(thrown);
        });
}

void listener::stop() {
    for (auto& each : doors_) {
        for (int left = were_passed_ ? 0 : most_left_over; left > 0 && each.socket.is_open(); --left) {
            const int connected =
                ::accept4(each.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (connected < 0) break;
            take_(connected, each.address_family);
        }
        boost::system::error_code ignored;  // the descriptor is gone whatever close says
        each.socket.close(ignored);
    }
}

asio::awaitable<void> listener::accept(std::size_t index) {
    auto& here = doors_[index];
    while (here.socket.is_open()) {
        const int connected = ::accept4(here.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connected >= 0) {
            take_(connected, here.address_family);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            co_await here.socket.async_wait(asio::posix::stream_descriptor::wait_read, use_result);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            spdlog::error("can't accept connections: {}", std::generic_category().message(errno));
            asio::steady_timer timer{co_await asio::this_coro::executor, pause};
            co_await timer.async_wait(use_result);
        } else if (errno != ECONNABORTED && errno != EINTR) {
            spdlog::warn("a connection was lost while it was accepted: {}", std::generic_category().message(errno));
        }
    }
}

}  // namespace crossfade::proxy::frontend
