#pragma once

#include <optional>

#include "lib/auth/address.hpp"
#include "proxy/console/access.hpp"
#include "proxy/console/provider.hpp"
#include "proxy/frontend/sockets.hpp"

namespace crossfade::proxy::frontend {

// Both ends of a connection, for people; empty where the socket has lost it, or isn't one.
struct peer {
    console::peer_address remote;
    console::peer_address local;
    console::origin from = console::origin::elsewhere;
};
peer peer_of(int socket);

// The client's address; nothing for a Unix socket.
std::optional<auth::ip_address> address_of(int socket);

}  // namespace crossfade::proxy::frontend
