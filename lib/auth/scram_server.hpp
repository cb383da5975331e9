#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/auth/scram_message.hpp"
#include "lib/auth/scram_verifier.hpp"

namespace crossfade::auth {

// What a log-in is held against. For a user that there isn't, or who may not log in, the verifier is a scram_mock's and
// `genuine` is false: the exchange goes as any other, and fails at its end.
struct scram_subject {
    scram_verifier verifier;
    bool genuine = false;
};

// A client logged in.
struct scram_accepted {
    std::string server_final;  // to be sent
    scram_keys keys;           // the client's from its proof: logs in to a server that holds the same verifier
};

// The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677; sasl-authentication.html). Each message
// once, in order; what fails once fails for good.
class scram_server {
  public:
    // `channel`: tls-server-end-point's bytes (RFC 5929), the hash of the certificate that the client was shown; when
    // given, SCRAM-SHA-256-PLUS is offered. `nonce` is for tests.
    scram_server(scram_subject subject, std::optional<std::string> channel = std::nullopt,
                 std::string nonce = make_scram_nonce())
        : subject_(std::move(subject)), channel_(std::move(channel)), nonce_(std::move(nonce)) {}

    // `plus`: the client chose SCRAM-SHA-256-PLUS. Gives server-first.
    enum class mechanism { plain, plus };
    or_scram_fault<std::string> on_client_first(mechanism chosen, std::string_view message);
    or_scram_fault<scram_accepted> on_client_final(std::string_view message);

    bool offers_plus() const { return channel_.has_value(); }

  private:
    enum class state { awaits_first, awaits_final, ended };

    or_scram_fault<std::string> first(mechanism chosen, std::string_view message);
    or_scram_fault<scram_accepted> final(std::string_view message) const;

    scram_subject subject_;
    std::optional<std::string> channel_;
    std::string nonce_;  // ours alone, then the client's and ours
    state state_ = state::awaits_first;
    std::string client_first_bare_;
    std::string server_first_;
    std::string binding_;  // what the client's c= has to decode to
};

}  // namespace crossfade::auth
