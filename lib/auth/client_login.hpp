#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "lib/auth/scram_server.hpp"

namespace crossfade::auth {

// A client's log-in to us by SCRAM-SHA-256, in whole messages of the protocol (sasl-authentication.html).
//
//   send(login.open());
//   for (;;) {
//       body = the next message's, which has to be of type 'p' and at most max_login_body long
//       next = login.receive(body): login_reply: send it and go on; login_success; login_failure: send it and close
//   }
struct login_reply {
    std::string message;
};
// AuthenticationSASLFinal and AuthenticationOk, to be sent once the server has let us in too.
struct login_success {
    std::string message;
    scram_keys keys;
};
struct login_failure {
    std::string message;  // ErrorResponse, FATAL
    bool counts = false;  // a wrong password (or user): attempt_limiter::failed() should hear of it
    std::string reason;   // for the log
};
using login_step = std::variant<login_reply, login_success, login_failure>;

// Without type and length: the mechanism's name, a length, the message.
inline constexpr std::size_t max_login_body = scram_sha_256_plus.size() + 1 + 4 + max_scram_message;

class client_login {
  public:
    // `user`: for the words to the client, which are PostgreSQL's own. `channel`: see scram_server.
    client_login(scram_subject subject, std::string user, std::optional<std::string> channel = std::nullopt)
        : scram_(std::move(subject), std::move(channel)), user_(std::move(user)) {}

    std::string open() const;
    login_step receive(std::string_view body);

  private:
    enum class state { awaits_mechanism, awaits_first, awaits_final, ended };

    login_step on_mechanism(std::string_view body);
    login_step on_first(std::string_view message);
    login_step on_final(std::string_view message);
    login_step fail(scram_fault why);

    scram_server scram_;
    std::string user_;
    state state_ = state::awaits_mechanism;
    scram_server::mechanism chosen_ = scram_server::mechanism::plain;
};

}  // namespace crossfade::auth
