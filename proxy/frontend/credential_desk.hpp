#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "lib/auth/credential.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/reload.hpp"
#include "proxy/frontend/sockets.hpp"

namespace crossfade::proxy::frontend {

struct cannot_ask {
    std::string reason;  // for the log
};
[[noreturn]] void throw_exception_from_error(const cannot_ask& why, const boost::source_location& where);

// Nobody knows the user: an empty credential. Fails when the database can't be asked, or too many wait for it.
using credential_finding = boost::system::result<std::optional<auth::credential>, cannot_ask>;

// proxy.auth.query, asked of one database: one thread and one connection, for a query of some 100 µs, and no more of
// the database's places than one. A desk for each database: who logs in to one doesn't wait for the other.
class credential_desk {
  public:
    explicit credential_desk(settings::side of) : side_(of) {}
    ~credential_desk();  // waits for a query that is under way, up to its timeout
    credential_desk(const credential_desk&) = delete;
    credential_desk& operator=(const credential_desk&) = delete;

    asio::awaitable<credential_finding> find(std::string user, settings::snapshot in_force);

    // Log-ins that wait; at most `most_waiting`.
    unsigned waiting() const { return waiting_.load(std::memory_order_relaxed); }
    static constexpr unsigned most_waiting = 200;

  private:
    using clock = std::chrono::steady_clock;
    struct vain_attempt {
        clock::time_point begun;
        cannot_ask why;
    };

    credential_finding ask(const std::string& user, const settings::configuration& config, clock::time_point wanted);
    std::optional<cannot_ask> connect(const std::string& dsn);

    const settings::side side_;
    std::atomic<unsigned> waiting_{0};
    // The thread's.
    std::optional<pgclient::connection> connection_;
    std::optional<vain_attempt> vain_;

    boost::asio::thread_pool asking_{1};
};

}  // namespace crossfade::proxy::frontend
