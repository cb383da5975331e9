#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <string_view>

#include "lib/settings/settings.hpp"

namespace crossfade::proxy::frontend {

namespace asio = boost::asio;
using boost::system::error_code;

// TCP or Unix, non-blocking.
using stream_socket = asio::generic::stream_protocol::socket;

inline constexpr auto use_result = asio::as_tuple(asio::use_awaitable);

// TCP_NODELAY, keepalive and TCP_USER_TIMEOUT as the settings say, where they apply; non-blocking. What a socket
// doesn't support is no error.
void prepare(stream_socket& socket, const settings::proxy& by);

// Whether the peer has ended its side, read or not what it sent before.
bool has_hung_up(int socket);
// Bytes, or the peer's end.
bool has_something_to_read(int socket);

}  // namespace crossfade::proxy::frontend
