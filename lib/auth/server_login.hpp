#pragma once

#include <boost/system/result.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "lib/auth/credential.hpp"
#include "lib/auth/scram_client.hpp"
#include "lib/auth/stored_secret.hpp"

namespace crossfade::auth {

// What we log in to a server with.
using login_secret = std::variant<std::monostate, clear_password, md5_hash, scram_keys>;

// The best there is: a password in clear, as it does for any server; then the keys that the client's own log-in gave
// (`recovered`), which do where the server holds the verifier that the client was held against; then an md5 hash.
login_secret secret_for_server(const credential* known, const std::optional<scram_keys>& recovered);

struct server_login_fault {
    std::string what;  // for the log and the client; holds nothing that the server sent
};
[[noreturn]] void throw_exception_from_error(const server_login_fault& fault, const boost::source_location& where);

// A log-in of ours to a server, in whole messages of the protocol. Feed it the body of each Authentication message
// (type 'R'); what else comes in between (NoticeResponse, NegotiateProtocolVersion, ErrorResponse) is the caller's.
class server_login {
  public:
    struct options {
        // A password may go to the server as it is: the connection is encrypted and the server known, or it is local.
        bool may_send_password = false;
        // tls-server-end-point's bytes for the server's certificate, on a TLS connection.
        std::optional<std::string> end_point;
        scram_key_cache* cache = nullptr;  // see scram_client; outlives the log-in
    };
    server_login(std::string user, login_secret secret, options how);

    struct step {
        std::string message;  // to be sent; may be empty
        bool done = false;    // AuthenticationOk: we are in
    };
    // Fails for what the secret can't answer, for what isn't in order, and when the server turns out not to know the
    // verifier. A server that asks for nothing (trust) is taken at its word, but not in the middle of SCRAM.
    boost::system::result<step, server_login_fault> receive(std::string_view body);

  private:
    using answer = boost::system::result<step, server_login_fault>;
    answer on_cleartext();
    answer on_md5(std::string_view salt);
    answer on_sasl(std::string_view mechanisms);
    answer on_sasl_continue(std::string_view data);
    answer on_sasl_final(std::string_view data);
    answer on_ok();

    std::string user_;
    login_secret secret_;
    options how_;
    std::optional<scram_client> scram_;
    bool answered_ = false;  // some password went out: there is only one question
    bool ended_ = false;
};

}  // namespace crossfade::auth
