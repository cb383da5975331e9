#include "tests/scripted/proxy/peer.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace crossfade::proxy::test {
namespace {

constexpr int patience_ms = 5000;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

sockaddr_un in_directory(const std::string& directory, std::uint16_t port) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    const auto path = directory + "/.s.PGSQL." + std::to_string(port);
    if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long a path");
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

template <class Address>
int connected_to(const Address& address) {
    const int made = ::socket(reinterpret_cast<const sockaddr&>(address).sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("nobody listens");
    return made;
}

template <class Address>
int listening_on(const Address& address) {
    const int made =
        ::socket(reinterpret_cast<const sockaddr&>(address).sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(made, 64) != 0)
        throw std::runtime_error("can't listen");
    return made;
}

bool ready(int fd, short events, int timeout_ms = patience_ms) {
    pollfd one{fd, events, 0};
    return ::poll(&one, 1, timeout_ms) > 0;
}

}  // namespace

peer::peer(int connected) : fd_(connected) {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

peer peer::connect(std::uint16_t port) {
    return peer{connected_to(loopback(port))};
}
peer peer::connect(const std::string& directory, std::uint16_t port) {
    return peer{connected_to(in_directory(directory, port))};
}

peer::~peer() {
    if (fd_ >= 0) ::close(fd_);
}
peer::peer(peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
peer& peer::operator=(peer&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

void peer::send(std::string_view bytes, std::size_t pieces) {
    while (!bytes.empty()) {
        const auto piece = pieces == 0 ? bytes : bytes.substr(0, pieces);
        const auto sent = ::send(fd_, piece.data(), piece.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;  // whoever closed on us: what we then expect to read tells
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

std::string peer::read(std::size_t count) {
    std::string got;
    while (got.size() < count && ready(fd_, POLLIN)) {
        char chunk[65536];
        const auto read = ::recv(fd_, chunk, std::min(sizeof chunk, count - got.size()), 0);
        if (read <= 0) break;
        got.append(chunk, static_cast<std::size_t>(read));
    }
    return got;
}

void peer::expect(std::string_view bytes) {
    const auto got = read(bytes.size());
    EXPECT_EQ(testing::PrintToString(got), testing::PrintToString(std::string{bytes}));
}

std::string peer::read_to_end() {
    return read(std::size_t{1} << 30);
}

void peer::expect_closed() {
    char one;
    EXPECT_TRUE(ready(fd_, POLLIN)) << "still open";
    EXPECT_LE(::recv(fd_, &one, 1, 0), 0) << "bytes instead of the end";
}

void peer::half_close() {
    ::shutdown(fd_, SHUT_WR);
}

void peer::reset() {
    const linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(std::exchange(fd_, -1));
}

std::size_t peer::send_what_fits(std::string_view chunk) {
    const auto sent = ::send(fd_, chunk.data(), chunk.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

std::size_t peer::skip(std::size_t bytes) {
    std::size_t total = 0;
    std::array<char, 65536> chunk;
    while (total < bytes && ready(fd_, POLLIN)) {
        const auto read = ::recv(fd_, chunk.data(), std::min(chunk.size(), bytes - total), 0);
        if (read <= 0) break;
        total += static_cast<std::size_t>(read);
    }
    return total;
}

std::size_t peer::send_until_blocked(std::string_view chunk) {
    std::size_t total = 0;
    while (ready(fd_, POLLOUT, 300)) {
        const auto sent = ::send(fd_, chunk.data(), chunk.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) break;
        total += static_cast<std::size_t>(sent);
    }
    return total;
}

listening listen_on_loopback() {
    const int made = listening_on(loopback(0));
    sockaddr_in bound{};
    socklen_t length = sizeof bound;
    ::getsockname(made, reinterpret_cast<sockaddr*>(&bound), &length);
    return {made, ntohs(bound.sin_port)};
}

fake_database::fake_database() {
    const auto made = listen_on_loopback();
    fd_ = made.socket;
    port_ = made.port;
}

fake_database::fake_database(const std::string& directory)
    : fd_(listening_on(in_directory(directory, 5432))), port_(5432) {}

fake_database::~fake_database() {
    ::close(fd_);
}

peer fake_database::accept() {
    if (!ready(fd_, POLLIN)) throw std::runtime_error("the proxy did not connect");
    return peer{::accept(fd_, nullptr, nullptr)};
}

bool fake_database::nobody_waits() const {
    return !ready(fd_, POLLIN, 0);
}

}  // namespace crossfade::proxy::test
