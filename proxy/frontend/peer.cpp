#include "proxy/frontend/peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstring>

namespace crossfade::proxy::frontend {
namespace {

using endpoint = stream_socket::endpoint_type;

// Nothing when the connection is lost.
std::optional<endpoint> end_of(int socket, decltype(::getsockname)* which) {
    endpoint found;
    auto size = static_cast<socklen_t>(found.capacity());
    if (which(socket, found.data(), &size) != 0) return std::nullopt;
    found.resize(size);
    return found;
}

asio::ip::address ip_of(const endpoint& at) {
    if (at.protocol().family() == AF_INET) {
        sockaddr_in of{};
        std::memcpy(&of, at.data(), std::min(sizeof of, at.size()));
        return asio::ip::address_v4{ntohl(of.sin_addr.s_addr)};
    }
    sockaddr_in6 of{};
    std::memcpy(&of, at.data(), std::min(sizeof of, at.size()));
    asio::ip::address_v6::bytes_type bytes{};
    std::memcpy(bytes.data(), of.sin6_addr.s6_addr, bytes.size());
    return asio::ip::address_v6{bytes};
}

bool is_ip(const endpoint& at) {
    return at.protocol().family() == AF_INET || at.protocol().family() == AF_INET6;
}

console::peer_address shown(const endpoint& at) {
    if (at.protocol().family() == AF_UNIX) return {"unix", 0};
    if (!is_ip(at)) return {};
    std::uint16_t port = 0;
    // sin_port and sin6_port stand in the same place.
    std::memcpy(&port, reinterpret_cast<const char*>(at.data()) + offsetof(sockaddr_in, sin_port), sizeof port);
    return {ip_of(at).to_string(), ntohs(port)};
}

}  // namespace

peer peer_of(int socket) {
    const auto local = end_of(socket, ::getsockname);
    const auto remote = end_of(socket, ::getpeername);
    if (!local || !remote) return {};
    const bool near = local->protocol().family() == AF_UNIX || (is_ip(*remote) && ip_of(*remote).is_loopback());
    // A Unix socket's client is bound to no address: the family is that of our own end.
    auto far_end = local->protocol().family() == AF_UNIX ? console::peer_address{"unix", 0} : shown(*remote);
    return {std::move(far_end), shown(*local), near ? console::origin::local : console::origin::elsewhere};
}

// By our own end, which is there for as long as the socket is; a client's is bound to no address.
bool is_unix_socket(int socket) {
    const auto local = end_of(socket, ::getsockname);
    return local && local->protocol().family() == AF_UNIX;
}

boost::system::result<std::optional<auth::ip_address>> address_of(int socket) {
    if (is_unix_socket(socket)) return std::optional<auth::ip_address>{};
    const auto remote = end_of(socket, ::getpeername);
    if (!remote || !is_ip(*remote)) return error_code{asio::error::not_connected};
    const auto ip = ip_of(*remote);
    return std::optional{ip.is_v4() ? auth::ip_address{ip.to_v4().to_bytes()}
                                    : auth::ip_address{ip.to_v6().to_bytes()}};
}

bool is_of_our_user(int socket) {
    ucred at{};
    socklen_t size = sizeof at;
    return is_unix_socket(socket) && ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &at, &size) == 0 &&
           at.uid == ::geteuid();
}

}  // namespace crossfade::proxy::frontend
