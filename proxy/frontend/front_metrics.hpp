#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/settings/flags.hpp"
#include "proxy/console/provider.hpp"
#include "proxy/strategy/reading.hpp"

namespace crossfade::proxy::frontend {

// How a session came to its end: label `result` of crossfade_sessions_total.
enum class session_end : std::uint8_t {
    client_left,
    server_left,   // the database closed a session that was logged in
    login_failed,  // the database closed it before that
    login_timeout,
    too_many,            // beyond a limit of sessions
    out_of_memory,       // proxy.max_session_memory or proxy.max_memory
    refused,             // by the configuration: no TLS, a replication session
    tls_failed,          // no handshake with the client
    unreachable,         // no connection to the database
    protocol_violation,  // by the client or the database
    idle_timeout,        // proxy.idle_timeout or proxy.idle_in_transaction_timeout
    query_timeout,       // proxy.query_timeout, and a cancel did not help
    drained,             // we are stopping
    killed,              // an operator ended it
    left_behind,         // the authority has changed, and it couldn't go along
    failed,              // a fault of ours; the log says which
};
inline constexpr std::size_t session_ends = 16;
std::string_view to_string(session_end end);

// Label `result` of crossfade_cancel_requests_total.
enum class cancel_result : std::uint8_t {
    forwarded,    // to the server of one of our sessions
    handed_on,    // no session of ours, perhaps of another proxy behind the same address: the database decides
    ambiguous,    // two sessions of ours: nobody can say which is meant
    unreachable,  // no connection to the server
};
inline constexpr std::size_t cancel_results = 4;
std::string_view to_string(cancel_result result);

// What became of a session that was to go to the other database: label `result` of crossfade_sessions_moved_total.
enum class move_result : std::uint8_t {
    moved,
    obstacle,     // it holds what can't be had elsewhere, or may
    login,        // the other database doesn't let it in
    unreachable,  // a connection couldn't be had, or broke
    different,    // what came out there wasn't the same
};
inline constexpr std::size_t move_results = 5;
std::string_view to_string(move_result result);

// Likewise of one that was to go there because of its statement's tables: label `result` of
// crossfade_session_detours_total.
enum class detour_result : std::uint8_t {
    came_back,  // by a connection that was parked
    logged_in,
    stayed,  // it couldn't go
};
inline constexpr std::size_t detour_results = 3;
std::string_view to_string(detour_result result);

// Written by one thread, read by another: a plain addition for the one who writes.
class tally {
  public:
    // Less, for one that may fall, is 2^64 short of it.
    void add(std::uint64_t more) {
        value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

// Upper bounds of the buckets of crossfade_query_seconds, crossfade_session_move_seconds and
// crossfade_session_detour_seconds; the last bucket, +Inf, has none.
inline constexpr std::array<double, 16> query_seconds_bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                             0.05,   0.1,     0.25,   0.5,   1.0,    2.5,   5.0,  10.0};

// What an event loop counts. `number` is a tally where the loop counts, with no lock and no shared cache line on the
// way of a message, and a plain number where the loops are summed up.
template <class number>
struct counts {
    struct per_strategy {
        std::array<number, query_seconds_bounds.size() + 1> query_buckets{};
        number query_nanoseconds{};
        number transactions{};
    };
    std::array<per_strategy, 5> by_strategy{};
    number bytes_to_server{};
    number bytes_to_client{};
    std::array<number, session_ends> ended{};
    std::array<number, cancel_results> cancels{};
    std::array<number, move_results> moves{};
    std::array<number, query_seconds_bounds.size() + 1> move_buckets{};
    number move_nanoseconds{};
    std::array<number, detour_results> detours{};
    std::array<number, query_seconds_bounds.size() + 1> detour_buckets{};
    number detour_nanoseconds{};
    number parked{};  // may fall
    number refused_by_groups{};
    std::array<number, 2> reads{};  // by strategy: answered by legacy, by modern
    std::array<number, strategy::fallbacks> read_fallbacks{};
    number reads_said_again{};
    number hops{};
    number refused_read_only{};
    number busy_polls_answered{};
    number busy_polls_in_vain{};

    // Of what is heard of sessions that may change hands (portrait/hearing.hpp). The first three only ever grow.
    number statement_hits{};
    number statement_misses{};
    number statement_evictions{};
    number statements{};
    number statement_bytes{};
    number setting_names{};
    number unclear_sessions{};
    number unnamed_bytes{};
};

struct alignas(64) loop_stats : counts<tally> {
    void observe_query(settings::write_strategy under, std::chrono::nanoseconds took);
    void observe_move(std::chrono::nanoseconds took);
    void count_detour(detour_result how, std::chrono::nanoseconds took);
};
using totals = counts<std::uint64_t>;

void add(totals& to, const loop_stats& more);

struct front_state {
    totals traffic;
    std::uint64_t turned_away = 0;  // connections
    std::uint64_t logins_held_back = 0;
    std::vector<console::limit_facts> limits;
    // Of a cache, which is full before long and may be: no limit to be near to.
    std::size_t statements_limit = 0;
    std::size_t statement_bytes_limit = 0;
};

// Carries the loops' sums over to a Prometheus registry, when somebody asks for it.
class front_metrics {
  public:
    explicit front_metrics(prometheus::Registry& registry);

    // `now`: never less than the last time. Thread-safe.
    void update(const front_state& now);
    void certificate_expires(std::optional<std::chrono::system_clock::time_point> at);

  private:
    struct strategy_metrics {
        prometheus::Histogram* query_seconds;
        prometheus::Counter* transactions;
    };

    std::mutex mutex_;
    front_state last_;
    prometheus::Family<prometheus::Gauge>& limit_used_;
    prometheus::Family<prometheus::Gauge>& limit_;
    prometheus::Gauge& sessions_;
    prometheus::Gauge& sessions_limit_;
    prometheus::Counter& turned_away_;
    prometheus::Counter& logins_held_back_;
    prometheus::Family<prometheus::Gauge>& certificate_expiry_;  // without a sample where there is no certificate
    std::array<strategy_metrics, 5> strategies_{};
    prometheus::Counter& to_server_;
    prometheus::Counter& to_client_;
    std::array<prometheus::Counter*, session_ends> ended_;
    std::array<prometheus::Counter*, cancel_results> cancels_;
    std::array<prometheus::Counter*, move_results> moves_;
    prometheus::Histogram& move_seconds_;
    std::array<prometheus::Counter*, detour_results> detours_;
    prometheus::Histogram& detour_seconds_;
    prometheus::Gauge& parked_;
    prometheus::Counter& refused_by_groups_;
    std::array<prometheus::Counter*, 2> reads_{};
    std::array<prometheus::Counter*, strategy::fallbacks> read_fallbacks_{};
    prometheus::Counter& reads_said_again_;
    prometheus::Counter& hops_;
    prometheus::Counter& refused_read_only_;
    prometheus::Family<prometheus::Counter>& busy_polls_;
    prometheus::Counter& busy_polls_answered_;
    prometheus::Counter& busy_polls_in_vain_;
    prometheus::Family<prometheus::Counter>& statement_lookups_;
    prometheus::Counter& statement_hits_;
    prometheus::Counter& statement_misses_;
    prometheus::Counter& statement_evictions_;
    prometheus::Gauge& statements_;
    prometheus::Gauge& statements_limit_;
    prometheus::Gauge& statement_bytes_;
    prometheus::Gauge& statement_bytes_limit_;
    prometheus::Gauge& unclear_sessions_;
    prometheus::Gauge& unnamed_bytes_;
};

}  // namespace crossfade::proxy::frontend
