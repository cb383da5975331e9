#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "lib/auth/attempt_limiter.hpp"
#include "lib/auth/credential.hpp"
#include "lib/auth/scram_key_cache.hpp"
#include "lib/auth/user_list.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/reload.hpp"
#include "proxy/frontend/sockets.hpp"

namespace crossfade::proxy::frontend {

struct cannot_ask {
    std::string reason;  // for the log
};
[[noreturn]] void throw_exception_from_error(const cannot_ask& why, const boost::source_location& where);

// What the proxy knows of users, for the log-ins that it decides itself: proxy.auth's list, and the authority's answer
// to proxy.auth.query. Shared by all event loops.
class gatekeeper {
  public:
    gatekeeper();
    ~gatekeeper();  // waits for a query that is under way, up to its timeout

    // The list of users in force; makes verifiers of clear passwords, milliseconds each. At start and after reloads.
    void take(const settings::configuration& config);

    using finding = boost::system::result<std::optional<auth::credential>, cannot_ask>;
    // Nobody knows the user: an empty credential. Fails when the database can't be asked, or too many wait for it.
    asio::awaitable<finding> find(std::string user, settings::snapshot in_force, settings::side authority);

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

    // Log-ins that wait for the query; at most `most_waiting`.
    unsigned waiting() const { return waiting_.load(std::memory_order_relaxed); }
    static constexpr unsigned most_waiting = 200;

  private:
    finding ask(const std::string& user, const settings::configuration& config, settings::side authority);

    struct knowledge {
        auth::scram_mock mock;
        auth::user_accounts accounts;
    };

    const std::string secret_;  // of the mock: the same user gets the same salt for as long as we run
    auth::attempt_limiter attempts_;
    auth::scram_key_cache keys_;
    std::shared_ptr<const knowledge> knowledge_;  // std::atomic_load, std::atomic_store
    std::atomic<unsigned> waiting_{0};
    std::atomic<std::uint64_t> held_back_{0};
    // One thread and one connection: a query of some 100 µs, and no more of the database's places than one.
    std::optional<pgclient::connection> connection_;  // the thread's
    settings::side connected_to_ = settings::side::legacy;
    boost::asio::thread_pool asking_{1};
};

}  // namespace crossfade::proxy::frontend
