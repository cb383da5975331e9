#pragma once

#include <boost/system/result.hpp>
#include <optional>
#include <string>

#include "lib/auth/access.hpp"
#include "lib/auth/client_login.hpp"
#include "lib/auth/server_login.hpp"
#include "lib/pgwire/startup.hpp"
#include "proxy/frontend/gatekeeper.hpp"
#include "proxy/frontend/message_reader.hpp"

// The log-ins of proxy.auth.mode terminate: the client's to the proxy, and the proxy's to the database.
namespace crossfade::proxy::frontend {

struct login_refusal {
    std::string message;  // for the client, an ErrorResponse; empty when it is gone
    std::string reason;   // for the log
    bool wrong_password = false;
};
[[noreturn]] void throw_exception_from_error(const login_refusal& refusal, const boost::source_location& where);

// What proxy.access is asked about; nothing when the client is gone. `known_as` as of same_database().
std::optional<auth::connection_facts> facts_of(const transport& client, const pgwire::startup_message& opening,
                                               std::string_view known_as);

// Before a log-in to the proxy: tells a client that asks for more than pgwire::newest_version what it gets, and takes
// the rest out of the opening. A database that gets the opening afterwards may know less: nothing comes of it but a
// shorter cancel key.
asio::awaitable<error_code> negotiate(transport& client, pgwire::startup_message& opening);

// Who the client has shown to be.
struct proof {
    std::string acceptance;  // to be said to the client once all else is well: AuthenticationOk and what goes before
    std::optional<auth::credential> known;
    std::optional<auth::scram_keys> keys;
};
// By SCRAM-SHA-256, against what `keeper` knows, within the limit of attempts.
asio::awaitable<boost::system::result<proof, login_refusal>> prove_by_scram(transport& client, message_reader& from,
                                                                            gatekeeper& keeper,
                                                                            settings::snapshot in_force,
                                                                            settings::side authority, std::string user);

// After the start-up message was sent: up to the database's first question, its AuthenticationOk or its error, whole
// messages.
struct first_words {
    std::string said;
    bool let_in = false;  // with no question
};
asio::awaitable<boost::system::result<first_words, login_refusal>> hear_first_question(message_reader& from);

// After the start-up message was sent: until AuthenticationOk. What the database refuses is said to the client in its
// own words.
struct let_in {
    std::string notices;  // for the client
};
asio::awaitable<boost::system::result<let_in, login_refusal>> log_in_to_server(transport& server, message_reader& from,
                                                                               auth::server_login login);

}  // namespace crossfade::proxy::frontend
