#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "lib/auth/scram_key_cache.hpp"
#include "lib/auth/scram_message.hpp"
#include "lib/auth/scram_verifier.hpp"

namespace crossfade::auth {

// How a client shows that it reached the server it means to.
struct scram_channel {
    std::string end_point;            // tls-server-end-point's bytes: the hash of the server's certificate
    bool server_offers_plus = false;  // whether SCRAM-SHA-256-PLUS was among the mechanisms
};

// The client's side. Each message once, in order; what fails once fails for good.
class scram_client {
  public:
    // With a password the work is the server's to choose: it may ask for no more iterations than this, some 30 ms of
    // them. With keys there is nothing to iterate, and no bound but PostgreSQL's own (2^31-1).
    static constexpr unsigned most_iterations = 100000;

    // `secret`: a password (not empty), or the keys that a client's own log-in gave away. `channel`: on a TLS
    // connection. `cache`: for passwords; null: the work is done each time. `nonce` is for tests.
    using secret = std::variant<std::string, scram_keys>;
    explicit scram_client(secret with, std::optional<scram_channel> channel = std::nullopt,
                          scram_key_cache* cache = nullptr, std::string nonce = make_scram_nonce());

    // The mechanism to name, and the first message.
    std::string_view mechanism() const;
    std::string client_first() const;
    // Gives client-final.
    or_scram_fault<std::string> on_server_first(std::string_view message);
    // Says whether the server knows the verifier. Until it did, nothing that it says is its own.
    or_scram_fault<void> on_server_final(std::string_view message);
    bool server_verified() const { return state_ == state::verified; }

  private:
    enum class state { awaits_first, awaits_final, verified, failed };

    bool binds() const { return channel_ && channel_->server_offers_plus; }
    std::string gs2_header() const;
    std::string bare() const;
    or_scram_fault<std::string> final_for(std::string_view message);

    secret secret_;
    std::optional<scram_channel> channel_;
    scram_key_cache* cache_;
    std::string nonce_;
    state state_ = state::awaits_first;
    key expected_signature_{};
};

}  // namespace crossfade::auth
