#include "proxy/frontend/front_metrics.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "proxy/strategy/footprint.hpp"

namespace crossfade::proxy::frontend {
namespace {

constexpr std::array strategies{settings::write_strategy::legacy_only, settings::write_strategy::legacy_primary,
                                settings::write_strategy::mirror, settings::write_strategy::prefer_modern,
                                settings::write_strategy::modern_only};

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry, const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Family<prometheus::Counter>& relayed_bytes(prometheus::Registry& registry) {
    return counters(registry, "crossfade_relayed_bytes_total", "Bytes relayed, by direction.");
}

template <class label, std::size_t size>
std::array<prometheus::Counter*, size> by_result(prometheus::Family<prometheus::Counter>& family) {
    std::array<prometheus::Counter*, size> made{};
    for (std::size_t index = 0; index < size; ++index)
        made[index] = &family.Add({{"result", std::string{to_string(static_cast<label>(index))}}});
    return made;
}

void raise(prometheus::Counter& counter, std::uint64_t now, std::uint64_t last) {
    if (now > last) counter.Increment(static_cast<double>(now - last));
}

template <std::size_t size>
void raise(const std::array<prometheus::Counter*, size>& of, const std::array<std::uint64_t, size>& now,
           const std::array<std::uint64_t, size>& last) {
    for (std::size_t index = 0; index < size; ++index) raise(*of[index], now[index], last[index]);
}

template <std::size_t size>
void observe(prometheus::Histogram& in, const std::array<std::uint64_t, size>& now,
             const std::array<std::uint64_t, size>& last, std::uint64_t nanoseconds) {
    std::vector<double> buckets;
    for (std::size_t bucket = 0; bucket < size; ++bucket)
        buckets.push_back(static_cast<double>(now[bucket] - last[bucket]));
    in.ObserveMultiple(buckets, static_cast<double>(nanoseconds) / 1e9);
}

std::vector<double> bounds() {
    return {query_seconds_bounds.begin(), query_seconds_bounds.end()};
}

std::size_t bucket_of(std::chrono::nanoseconds took) {
    const auto seconds = std::chrono::duration<double>(took).count();
    const auto* const bucket = std::lower_bound(query_seconds_bounds.begin(), query_seconds_bounds.end(), seconds);
    return static_cast<std::size_t>(bucket - query_seconds_bounds.begin());
}

template <std::size_t size>
void add(std::array<std::uint64_t, size>& to, const std::array<tally, size>& more) {
    for (std::size_t index = 0; index < size; ++index) to[index] += more[index].value();
}

}  // namespace

std::string_view to_string(session_end end) {
    switch (end) {
        case session_end::client_left:
            return "client_left";
        case session_end::server_left:
            return "server_left";
        case session_end::login_failed:
            return "login_failed";
        case session_end::login_timeout:
            return "login_timeout";
        case session_end::too_many:
            return "too_many";
        case session_end::out_of_memory:
            return "out_of_memory";
        case session_end::unreachable:
            return "unreachable";
        case session_end::protocol_violation:
            return "protocol_violation";
        case session_end::refused:
            return "refused";
        case session_end::tls_failed:
            return "tls_failed";
        case session_end::idle_timeout:
            return "idle_timeout";
        case session_end::query_timeout:
            return "query_timeout";
        case session_end::drained:
            return "drained";
        case session_end::killed:
            return "killed";
        case session_end::left_behind:
            return "left_behind";
        case session_end::failed:
            return "failed";
    }
    return "failed";
}

std::string_view to_string(cancel_result result) {
    switch (result) {
        case cancel_result::forwarded:
            return "forwarded";
        case cancel_result::handed_on:
            return "handed_on";
        case cancel_result::ambiguous:
            return "ambiguous";
        case cancel_result::unreachable:
            return "unreachable";
    }
    return "handed_on";
}

std::string_view to_string(move_result result) {
    switch (result) {
        case move_result::moved:
            return "moved";
        case move_result::obstacle:
            return "obstacle";
        case move_result::login:
            return "login";
        case move_result::unreachable:
            return "unreachable";
        case move_result::different:
            return "different";
    }
    return "different";
}

std::string_view to_string(detour_result result) {
    switch (result) {
        case detour_result::came_back:
            return "came_back";
        case detour_result::logged_in:
            return "logged_in";
        case detour_result::stayed:
            return "stayed";
    }
    return "stayed";
}

void loop_stats::observe_query(settings::write_strategy under, std::chrono::nanoseconds took) {
    auto& of = by_strategy[static_cast<std::size_t>(under)];
    of.query_buckets[bucket_of(took)].add(1);
    of.query_nanoseconds.add(static_cast<std::uint64_t>(took.count()));
}

void loop_stats::observe_move(std::chrono::nanoseconds took) {
    move_buckets[bucket_of(took)].add(1);
    move_nanoseconds.add(static_cast<std::uint64_t>(took.count()));
}

void loop_stats::count_detour(detour_result how, std::chrono::nanoseconds took) {
    detours[static_cast<std::size_t>(how)].add(1);
    if (how == detour_result::stayed) return;
    detour_buckets[bucket_of(took)].add(1);
    detour_nanoseconds.add(static_cast<std::uint64_t>(took.count()));
}

void add(totals& to, const loop_stats& more) {
    for (std::size_t index = 0; index < to.by_strategy.size(); ++index) {
        add(to.by_strategy[index].query_buckets, more.by_strategy[index].query_buckets);
        to.by_strategy[index].query_nanoseconds += more.by_strategy[index].query_nanoseconds.value();
        to.by_strategy[index].transactions += more.by_strategy[index].transactions.value();
    }
    to.bytes_to_server += more.bytes_to_server.value();
    to.bytes_to_client += more.bytes_to_client.value();
    add(to.ended, more.ended);
    add(to.cancels, more.cancels);
    add(to.moves, more.moves);
    add(to.move_buckets, more.move_buckets);
    to.move_nanoseconds += more.move_nanoseconds.value();
    add(to.detours, more.detours);
    add(to.detour_buckets, more.detour_buckets);
    to.detour_nanoseconds += more.detour_nanoseconds.value();
    to.parked += more.parked.value();
    to.refused_by_groups += more.refused_by_groups.value();
    add(to.reads, more.reads);
    add(to.read_fallbacks, more.read_fallbacks);
    to.reads_said_again += more.reads_said_again.value();
    to.hops += more.hops.value();
    to.refused_read_only += more.refused_read_only.value();
    to.busy_polls_answered += more.busy_polls_answered.value();
    to.busy_polls_in_vain += more.busy_polls_in_vain.value();
    to.statement_hits += more.statement_hits.value();
    to.statement_misses += more.statement_misses.value();
    to.statement_evictions += more.statement_evictions.value();
    to.statements += more.statements.value();
    to.statement_bytes += more.statement_bytes.value();
    to.setting_names += more.setting_names.value();
    to.unclear_sessions += more.unclear_sessions.value();
    to.unnamed_bytes += more.unnamed_bytes.value();
}

front_metrics::front_metrics(prometheus::Registry& registry)
    : limit_used_(prometheus::BuildGauge()
                      .Name("crossfade_proxy_limit_used")
                      .Help("How much of a bound is used.")
                      .Register(registry)),
      limit_(prometheus::BuildGauge().Name("crossfade_proxy_limit").Help("The bound.").Register(registry)),
      sessions_(gauge(registry, "crossfade_sessions", "Client sessions open.")),
      sessions_limit_(gauge(registry, "crossfade_sessions_limit", "Client sessions at most (proxy.max_sessions).")),
      turned_away_(counters(registry, "crossfade_connections_turned_away_total",
                            "Connections closed at once, as there was no room for them.")
                       .Add({})),
      logins_held_back_(
          counters(registry, "crossfade_logins_held_back_total", "Log-ins that were not tried, as too many had failed.")
              .Add({})),
      certificate_expiry_(prometheus::BuildGauge()
                              .Name("crossfade_tls_certificate_expiry_timestamp_seconds")
                              .Help("End of the listener's certificate's validity, in seconds since 1970.")
                              .Register(registry)),
      to_server_(relayed_bytes(registry).Add({{"direction", "to_server"}})),
      to_client_(relayed_bytes(registry).Add({{"direction", "to_client"}})),
      ended_(by_result<session_end, session_ends>(
          counters(registry, "crossfade_sessions_total", "Client sessions that have ended, by the reason."))),
      cancels_(by_result<cancel_result, cancel_results>(
          counters(registry, "crossfade_cancel_requests_total", "Cancel requests, by what became of them."))),
      moves_(by_result<move_result, move_results>(
          counters(registry, "crossfade_sessions_moved_total",
                   "Sessions that were to go to the other database, by what became of them."))),
      move_seconds_(prometheus::BuildHistogram()
                        .Name("crossfade_session_move_seconds")
                        .Help("From when a session was to go to the other database until it was there.")
                        .Register(registry)
                        .Add({}, bounds())),
      detours_(by_result<detour_result, detour_results>(
          counters(registry, "crossfade_session_detours_total",
                   "Times that a session was to go to the other database, as its statement's tables are there."))),
      detour_seconds_(prometheus::BuildHistogram()
                          .Name("crossfade_session_detour_seconds")
                          .Help("How long such a statement waited until its session was there.")
                          .Register(registry)
                          .Add({}, bounds())),
      parked_(gauge(registry, "crossfade_parked_connections",
                    "Connections that sessions have left for the other database and will come back to.")),
      refused_by_groups_(counters(registry, "crossfade_group_writes_refused_total",
                                  "Statements that were refused, as they write tables of another authority than their "
                                  "transaction's.")
                             .Add({})),
      reads_said_again_(counters(registry, "crossfade_reads_said_again_total",
                                 "Reads that modern has failed, by an error or its end, and legacy was asked then.")
                            .Add({})),
      hops_(counters(registry, "crossfade_read_switches_total",
                     "Times that a session that reads by strategy changed its database without being asked.")
                .Add({})),
      refused_read_only_(counters(registry, "crossfade_read_only_refused_total",
                                  "Statements that were refused, as their READ ONLY transaction is on modern.")
                             .Add({})),
      busy_polls_(counters(registry, "crossfade_busy_polls_total",
                           "Times that an event loop kept asking instead of sleeping (proxy.busy_poll_us), by whether "
                           "something came meanwhile.")),
      busy_polls_answered_(busy_polls_.Add({{"result", "answered"}})),
      busy_polls_in_vain_(busy_polls_.Add({{"result", "in_vain"}})),
      statement_lookups_(counters(registry, "crossfade_statement_cache_lookups_total",
                                  "Texts that had to be understood, by whether they were known.")),
      statement_hits_(statement_lookups_.Add({{"result", "hit"}})),
      statement_misses_(statement_lookups_.Add({{"result", "miss"}})),
      statement_evictions_(
          counters(registry, "crossfade_statement_cache_evictions_total", "Texts that were forgotten to make room.")
              .Add({})),
      statements_(gauge(registry, "crossfade_statement_cache_entries", "Texts that are remembered.")),
      statements_limit_(gauge(registry, "crossfade_statement_cache_entries_limit",
                              "At most: proxy.statement_cache_entries for each event loop.")),
      statement_bytes_(gauge(registry, "crossfade_statement_cache_bytes", "Memory for them.")),
      statement_bytes_limit_(gauge(registry, "crossfade_statement_cache_bytes_limit",
                                   "At most: proxy.statement_cache_bytes for each event loop.")),
      unclear_sessions_(gauge(registry, "crossfade_sessions_unclear",
                              "Sessions that may have settings of the application's that nobody has heard of.")),
      unnamed_bytes_(gauge(registry, "crossfade_unnamed_statement_bytes", "Memory for clients' unnamed statements.")) {
    auto& reads = counters(registry, "crossfade_reads_total", "Reads by strategy, by who was asked first.");
    for (const auto side : {settings::side::legacy, settings::side::modern})
        reads_[strategy::index_of(side)] = &reads.Add({{"side", std::string{settings::to_string(side)}}});
    auto& back = counters(registry, "crossfade_read_fallbacks_total",
                          "Reads that legacy was asked although the flags say modern, by the reason.");
    for (std::size_t index = 0; index < strategy::fallbacks; ++index)
        read_fallbacks_[index] =
            &back.Add({{"reason", std::string{to_string(static_cast<strategy::fallback>(index))}}});
    auto& seconds = prometheus::BuildHistogram()
                        .Name("crossfade_query_seconds")
                        .Help("From the first message to an idle session until nothing is owed for it.")
                        .Register(registry);
    auto& transactions =
        counters(registry, "crossfade_transactions_total", "Transactions that have ended, single statements included.");
    for (std::size_t index = 0; index < strategies.size(); ++index) {
        const prometheus::Labels labels{{"strategy", std::string{settings::to_string(strategies[index])}}};
        strategies_[index] = {&seconds.Add(labels, bounds()), &transactions.Add(labels)};
    }
}

void front_metrics::certificate_expires(std::optional<std::chrono::system_clock::time_point> at) {
    if (at) certificate_expiry_.Add({}).Set(std::chrono::duration<double>(at->time_since_epoch()).count());
}

void front_metrics::update(const front_state& now) {
    const std::lock_guard lock{mutex_};
    for (const auto& each : now.limits) {
        auto name = each.name;
        std::ranges::replace_if(
            name, [](char c) { return c == ' ' || c == '-'; }, '_');
        limit_used_.Add({{"limit", name}}).Set(static_cast<double>(each.used));
        limit_.Add({{"limit", name}}).Set(static_cast<double>(each.limit));
        if (name != "sessions") continue;
        sessions_.Set(static_cast<double>(each.used));
        sessions_limit_.Set(static_cast<double>(each.limit));
    }
    for (std::size_t index = 0; index < strategies_.size(); ++index) {
        const auto& last = last_.traffic.by_strategy[index];
        const auto& next = now.traffic.by_strategy[index];
        observe(*strategies_[index].query_seconds, next.query_buckets, last.query_buckets,
                next.query_nanoseconds - last.query_nanoseconds);
        raise(*strategies_[index].transactions, next.transactions, last.transactions);
    }
    raise(to_server_, now.traffic.bytes_to_server, last_.traffic.bytes_to_server);
    raise(to_client_, now.traffic.bytes_to_client, last_.traffic.bytes_to_client);
    raise(ended_, now.traffic.ended, last_.traffic.ended);
    raise(cancels_, now.traffic.cancels, last_.traffic.cancels);
    raise(moves_, now.traffic.moves, last_.traffic.moves);
    observe(move_seconds_, now.traffic.move_buckets, last_.traffic.move_buckets,
            now.traffic.move_nanoseconds - last_.traffic.move_nanoseconds);
    raise(detours_, now.traffic.detours, last_.traffic.detours);
    observe(detour_seconds_, now.traffic.detour_buckets, last_.traffic.detour_buckets,
            now.traffic.detour_nanoseconds - last_.traffic.detour_nanoseconds);
    parked_.Set(static_cast<double>(now.traffic.parked));
    raise(reads_, now.traffic.reads, last_.traffic.reads);
    raise(read_fallbacks_, now.traffic.read_fallbacks, last_.traffic.read_fallbacks);
    raise(reads_said_again_, now.traffic.reads_said_again, last_.traffic.reads_said_again);
    raise(hops_, now.traffic.hops, last_.traffic.hops);
    raise(refused_read_only_, now.traffic.refused_read_only, last_.traffic.refused_read_only);
    raise(refused_by_groups_, now.traffic.refused_by_groups, last_.traffic.refused_by_groups);
    raise(turned_away_, now.turned_away, last_.turned_away);
    raise(logins_held_back_, now.logins_held_back, last_.logins_held_back);
    raise(busy_polls_answered_, now.traffic.busy_polls_answered, last_.traffic.busy_polls_answered);
    raise(busy_polls_in_vain_, now.traffic.busy_polls_in_vain, last_.traffic.busy_polls_in_vain);
    raise(statement_hits_, now.traffic.statement_hits, last_.traffic.statement_hits);
    raise(statement_misses_, now.traffic.statement_misses, last_.traffic.statement_misses);
    raise(statement_evictions_, now.traffic.statement_evictions, last_.traffic.statement_evictions);
    statements_.Set(static_cast<double>(now.traffic.statements));
    statements_limit_.Set(static_cast<double>(now.statements_limit));
    statement_bytes_.Set(static_cast<double>(now.traffic.statement_bytes));
    statement_bytes_limit_.Set(static_cast<double>(now.statement_bytes_limit));
    unclear_sessions_.Set(static_cast<double>(now.traffic.unclear_sessions));
    unnamed_bytes_.Set(static_cast<double>(now.traffic.unnamed_bytes));
    last_ = now;
}

}  // namespace crossfade::proxy::frontend
