#include "tests/support/ports.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>

namespace crossfade::support {

namespace {

// An abstract Unix socket is a lock that ends with its process, however that ends, and leaves no file.
bool reserve(std::uint16_t port) {
    const int lock = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (lock < 0) throw std::runtime_error("no socket to reserve a port with");
    const std::string name = "crossfade-test-port-" + std::to_string(port);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    if (::bind(lock, reinterpret_cast<const sockaddr*>(&at), size) == 0) return true;  // kept open on purpose
    ::close(lock);
    return false;
}

bool bindable(std::uint16_t port) {
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) throw std::runtime_error("no socket to try a port with");
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool bound = ::bind(probe, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0;
    ::close(probe);
    return bound;
}

}  // namespace

std::uint16_t free_port() {
    static std::mt19937 random{std::random_device{}()};
    std::uniform_int_distribution<int> candidates{20000, 32000};
    for (int attempt = 0; attempt < 1000; ++attempt) {
        const auto port = static_cast<std::uint16_t>(candidates(random));
        if (bindable(port) && reserve(port)) return port;
    }
    throw std::runtime_error("no free port between 20000 and 32000");
}

}  // namespace crossfade::support
