#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/settings/reload.hpp"
#include "proxy/console/command.hpp"
#include "proxy/console/holds.hpp"

// What the console asks the proxy, and what it is told. Values alone: no row values, parameters, SQL or credentials.
namespace crossfade::proxy::console {

enum class session_state : std::uint8_t {
    login,           // not authenticated yet
    idle,            // nothing asked, no transaction
    active,          // something asked that is not answered
    in_transaction,  // nothing asked, a transaction open
    waiting,         // for a connection to its database
    paused,          // held by a PAUSE
};
std::string_view to_string(session_state of);

struct peer_address {
    std::string host;  // "unix" for a Unix socket
    std::uint16_t port = 0;
};

struct server_facts {
    settings::side side = settings::side::legacy;
    std::string database;
    peer_address at;
    peer_address from;  // our end
    std::uint32_t pid = 0;
    instant connected{};
    std::string tls;  // "TLSv1.3"; empty: none
};

// One client session.
struct session_facts {
    std::uint64_t id = 0;  // unique for as long as the process lives
    std::string user;
    std::string database;
    std::string application_name;
    std::string tenant;
    peer_address at;
    peer_address to;  // our end
    session_state state = session_state::login;
    instant connected{};
    std::optional<instant> asked;  // when the client last began to ask something
    instant since{};               // of the state
    std::uint64_t bytes_from_client = 0;
    std::uint64_t bytes_to_client = 0;
    std::uint64_t transactions = 0;
    std::uint64_t memory = 0;  // bytes that it holds of ours
    std::string tls;
    std::optional<server_facts> server;
};

// Sums since the process started. What isn't measured is absent.
struct traffic {
    std::uint64_t transactions = 0;
    std::uint64_t queries = 0;
    std::uint64_t bytes_from_clients = 0;
    std::uint64_t bytes_to_clients = 0;
    std::chrono::microseconds query_time{};
    std::optional<std::chrono::microseconds> transaction_time;
    std::optional<std::chrono::microseconds> wait_time;
};
struct traffic_facts {
    std::string database;  // "*": all, where they are not counted apart
    traffic now;
    traffic before;  // `apart` ago, for averages
    std::chrono::microseconds apart{};
};

struct stream_facts {
    std::string name;
    std::string state;
    std::string reason;
    std::string way_out;
    std::string confirmed_lsn;
    std::string published_lsn;
    std::uint64_t unacknowledged_events = 0;
    std::uint64_t retained_wal_bytes = 0;
};

// Records of drift that share all of these.
struct drift_facts {
    std::string tenant;
    std::string table;
    std::string kind;
    std::string state;
    std::int64_t rows = 0;
    std::optional<instant> first_seen;
    std::optional<instant> last_seen;
};

// A bound, and how near it is.
struct limit_facts {
    std::string name;
    std::string unit;
    std::uint64_t used = 0;
    std::optional<std::uint64_t> most_used;  // since the process started
    std::uint64_t limit = 0;
    std::string setting;  // the key that sets it; empty: it is fixed
};

// Things of one kind that are there whatever the sessions do.
struct memory_facts {
    std::string name;
    std::uint64_t size = 0;  // bytes of one of them
    std::uint64_t number = 0;
};

// What a SHOW needs beyond the configuration in force.
struct needs {
    bool sessions = false;
    bool traffic = false;
    bool stream = false;
    bool drift = false;
    bool limits = false;
    bool holds = false;
    bool memory = false;
};
needs needs_of(subject what);

struct facts {
    instant now{};
    settings::snapshot in_force;  // never null
    std::vector<session_facts> sessions;
    std::vector<traffic_facts> traffic;
    std::optional<stream_facts> stream;
    std::vector<drift_facts> drift;
    std::vector<limit_facts> limits;
    hold_set holds;
    std::vector<memory_facts> memory;
};

// Carried out; the notices tell what there is to tell.
struct done {
    std::vector<std::string> notices;
};
// Not carried out. Nothing has changed, if the message doesn't say otherwise.
struct failure {
    std::string_view sqlstate;  // a literal
    std::string message;
    std::string detail;
    std::string hint;
};

struct ask_facts {
    subject what;
};
struct request {
    std::variant<ask_facts, commands::reload, commands::pause, commands::resume, commands::kill, commands::shutdown>
        what;
    std::string by;  // the user who asks
};
using answer = std::variant<facts, done, failure>;

// Sessions of the scope that are not between transactions: those that a PAUSE has to wait for. Those that log in have
// no transaction yet.
std::vector<std::uint64_t> in_the_way(const scope& of, const std::vector<session_facts>& sessions);

// The proxy as the console sees it. `then` is called exactly once, from any thread, within a bounded time: PAUSE and
// what asks a database have settings for that. What a PAUSE that fails has held is let go again.
class provider {
  public:
    virtual ~provider() = default;
    virtual void carry_out(request what, std::function<void(answer)> then) = 0;
};

}  // namespace crossfade::proxy::console
