#pragma once

#include <boost/system/result.hpp>

#include "lib/settings/reload.hpp"
#include "proxy/frontend/address_book.hpp"
#include "proxy/frontend/sockets.hpp"

namespace crossfade::proxy::frontend {

// Connects to host:port (each address of the name in turn) or to the Unix socket of a server with that port, within
// proxy.connect_timeout in all. Fails with the last address's error, or asio::error::timed_out.
asio::awaitable<boost::system::result<stream_socket>> dial(settings::endpoint to, settings::snapshot in_force,
                                                           address_book& names);

}  // namespace crossfade::proxy::frontend
