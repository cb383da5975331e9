#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "lib/auth/attempt_limiter.hpp"
#include "lib/auth/credential.hpp"
#include "lib/auth/scram_key_cache.hpp"
#include "lib/auth/user_list.hpp"
#include "lib/settings/reload.hpp"
#include "proxy/frontend/credential_desk.hpp"

namespace crossfade::proxy::frontend {

// What the proxy knows of users, for the log-ins that it decides itself: proxy.auth's list, and the authority's answer
// to proxy.auth.query. Shared by all event loops.
class gatekeeper {
  public:
    gatekeeper();

    // The list of users in force; makes verifiers of clear passwords, milliseconds each. At start and after reloads.
    void take(const settings::configuration& config);

    asio::awaitable<credential_finding> find(std::string user, settings::snapshot in_force, settings::side authority);

    // What a log-in of this user is held against, whether anybody knows him or not.
    auth::scram_subject subject_for(const std::optional<auth::credential>& found, const std::string& user) const;

    auth::attempt_limiter& attempts() { return attempts_; }
    const auth::attempt_limiter& attempts() const { return attempts_; }
    // A log-in wasn't tried, as too many had failed.
    void count_held_back() { held_back_.fetch_add(1, std::memory_order_relaxed); }
    std::uint64_t held_back() const { return held_back_.load(std::memory_order_relaxed); }
    // For our own log-ins with passwords in clear.
    auth::scram_key_cache& keys() { return keys_; }
    const auth::scram_key_cache& keys() const { return keys_; }

    const credential_desk& desk_of(settings::side which) const {
        return which == settings::side::modern ? modern_desk_ : legacy_desk_;
    }

  private:
    struct knowledge {
        auth::scram_mock mock;
        auth::user_accounts accounts;
    };

    const std::string secret_;  // of the mock: the same user gets the same salt for as long as we run
    auth::attempt_limiter attempts_;
    auth::scram_key_cache keys_;
    std::shared_ptr<const knowledge> knowledge_;  // std::atomic_load, std::atomic_store
    std::atomic<std::uint64_t> held_back_{0};
    credential_desk legacy_desk_{settings::side::legacy};
    credential_desk modern_desk_{settings::side::modern};
};

}  // namespace crossfade::proxy::frontend
