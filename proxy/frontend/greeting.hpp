#pragma once

#include <boost/system/result.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "lib/pgwire/startup.hpp"
#include "proxy/frontend/encryption.hpp"
#include "proxy/frontend/transport.hpp"

namespace crossfade::proxy::frontend {

// What a client opened with, once its questions about encryption were answered.
struct greeting {
    std::variant<pgwire::startup_message, pgwire::cancel_request> opening;
    std::string early;  // bytes that came behind the start-up message already
};

// Why there is no greeting. `message` is for the client; empty when it left or sent what is no PostgreSQL at all.
struct no_greeting {
    std::string message;
    std::string_view sqlstate;
    bool tls_failed = false;  // the handshake, after which nothing can be said in the clear
};

// Reads up to the start-up message or cancel request. An SSLRequest is answered with TLS where `with` has it for the
// listener, and 'N' otherwise; GSSENCRequest 'N'; once each. TLS without a question (PostgreSQL 17's
// sslnegotiation=direct) is taken too, if the client names the protocol by ALPN. What is sent behind a question before
// its answer is refused: were it taken for the start-up message, somebody on the way could have put it there
// (CVE-2021-3935). Reads no more than one start-up packet (10 KiB) and what is on the socket behind it, up to that
// bound in all. A session in the clear is refused where `mode` is require or more; a cancel request is not, as clients
// before PostgreSQL 17 send theirs in the clear.
asio::awaitable<boost::system::result<greeting, no_greeting>> read_greeting(transport& client,
                                                                            std::shared_ptr<const encryption> with,
                                                                            settings::tls_mode mode);
[[noreturn]] void throw_exception_from_error(const no_greeting& why, const boost::source_location& where);

}  // namespace crossfade::proxy::frontend
