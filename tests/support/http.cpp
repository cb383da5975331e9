#include "tests/support/http.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace crossfade::support {

namespace {

using steady = std::chrono::steady_clock;

bool readable(int fd, steady::time_point until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now()).count();
    pollfd wanted{fd, POLLIN, 0};
    return left > 0 && ::poll(&wanted, 1, static_cast<int>(left)) == 1;
}

http_reply parse(const std::string& text) {
    http_reply reply;
    const auto head_end = text.find("\r\n\r\n");
    if (head_end == std::string::npos || !text.starts_with("HTTP/1.")) return reply;
    std::from_chars(text.data() + 9, text.data() + 12, reply.status);
    reply.body = text.substr(head_end + 4);
    for (auto from = text.find("\r\n") + 2; from < head_end;) {
        const auto to = text.find("\r\n", from);
        const auto colon = text.find(": ", from);
        std::string name = text.substr(from, colon - from);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        reply.headers[name] = text.substr(colon + 2, to - colon - 2);
        from = to + 2;
    }
    return reply;
}

}  // namespace

loopback_socket::loopback_socket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0) return;
    ::close(fd_);
    throw std::runtime_error("nobody listens on port " + std::to_string(port));
}

loopback_socket::~loopback_socket() {
    ::close(fd_);
}

bool loopback_socket::send(const std::string& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        const auto sent = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        done += static_cast<std::size_t>(sent);
    }
    return true;
}

std::string loopback_socket::read_all(std::chrono::milliseconds timeout) {
    const auto until = steady::now() + timeout;
    std::string got;
    std::array<char, 4096> some{};
    while (readable(fd_, until)) {
        const auto count = ::recv(fd_, some.data(), some.size(), 0);
        if (count <= 0) break;
        got.append(some.data(), static_cast<std::size_t>(count));
    }
    return got;
}

bool loopback_socket::closed_within(std::chrono::milliseconds timeout) {
    const auto until = steady::now() + timeout;
    std::array<char, 4096> some{};
    while (readable(fd_, until))
        if (::recv(fd_, some.data(), some.size(), 0) <= 0) return true;
    return false;
}

http_reply http_request(std::uint16_t port, const std::string& method, const std::string& path, const std::string& body,
                        std::chrono::milliseconds timeout) {
    try {
        loopback_socket socket{port};
        std::string asked = method + ' ' + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";
        if (method != "GET") asked += "Content-Length: " + std::to_string(body.size()) + "\r\n";
        socket.send(asked + "\r\n" + body);
        return parse(socket.read_all(timeout));
    } catch (const std::runtime_error&) {
        return {};
    }
}

http_reply http_get(std::uint16_t port, const std::string& path) {
    return http_request(port, "GET", path);
}

http_reply http_post(std::uint16_t port, const std::string& path, const std::string& body) {
    return http_request(port, "POST", path, body);
}

double sample_value(const std::string& exposition, const std::string& sample) {
    for (std::size_t from = 0; from < exposition.size();) {
        const auto to = std::min(exposition.find('\n', from), exposition.size());
        const std::string line = exposition.substr(from, to - from);
        // A name that goes on is another metric's.
        const auto next = line.size() > sample.size() ? line[sample.size()] : ' ';
        const bool whole = sample.ends_with(' ') || sample.find('{') != std::string::npos || next == ' ' || next == '{';
        if (whole && line.starts_with(sample)) return std::stod(line.substr(line.rfind(' ') + 1));
        from = to + 1;
    }
    return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace crossfade::support
