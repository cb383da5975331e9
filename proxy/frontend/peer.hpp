#pragma once

#include <boost/system/result.hpp>
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

// The client's address; nothing for a Unix socket. Fails when the connection is lost, and its address with it: who sent
// a reset is no local client.
boost::system::result<std::optional<auth::ip_address>> address_of(int socket);

bool is_unix_socket(int socket);

// Whether the client is on this machine, and runs as the user that we run as: by a Unix socket.
bool is_of_our_user(int socket);

}  // namespace crossfade::proxy::frontend
