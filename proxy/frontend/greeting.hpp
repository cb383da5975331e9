#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <variant>

#include "lib/pgwire/startup.hpp"
#include "proxy/frontend/sockets.hpp"

namespace crossfade::proxy::frontend {

// What a client opened with, once its questions about encryption were answered.
struct greeting {
    std::variant<pgwire::startup_message, pgwire::cancel_request> opening;
    std::string early;  // bytes that came behind the start-up message already
};

// Why there is no greeting. `message` is for the client; empty when it left or sent what is no PostgreSQL at all.
struct no_greeting {
    std::string message;
};

// Reads up to the start-up message or cancel request. SSLRequest and GSSENCRequest are answered 'N', once each. What is
// sent behind one of them before the answer is refused: were it taken for the start-up message, somebody on the way
// could have put it there. Reads no more than one start-up packet (10 KiB) and what is on the socket behind it, up to
// that bound in all.
asio::awaitable<boost::system::result<greeting, no_greeting>> read_greeting(stream_socket& client);
[[noreturn]] void throw_exception_from_error(const no_greeting& why, const boost::source_location& where);

}  // namespace crossfade::proxy::frontend
