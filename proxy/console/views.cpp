#include "proxy/console/views.hpp"

#include <map>
#include <set>
#include <tuple>

#include "lib/settings/entries.hpp"

namespace crossfade::proxy::console {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr std::int64_t one = 1;
constexpr std::int64_t none = 0;
const value null;

value text(std::string_view of) {
    return std::string{of};
}
value number(std::uint64_t of) {
    return static_cast<std::int64_t>(of);
}
template <class T>
value maybe(const std::optional<T>& of) {
    return of ? value{*of} : null;
}
value micros(const std::optional<microseconds>& of) {
    return of ? value{std::int64_t{of->count()}} : null;
}

// PgBouncer shows addresses of its objects, as unique keys that lead from a client to its server and back.
std::string key_of(char kind, const session_facts& of) {
    return kind + std::to_string(of.id);
}

bool is_waiting(const session_facts& of) {
    return of.state == session_state::waiting || of.state == session_state::paused;
}
microseconds waited(const session_facts& of, instant now) {
    return is_waiting(of) ? std::max(microseconds{0}, now - of.since) : microseconds{0};
}
value whole_seconds(microseconds of) {
    return std::int64_t{std::chrono::floor<seconds>(of).count()};
}
value rest_of_second(microseconds of) {
    return std::int64_t{(of - std::chrono::floor<seconds>(of)).count()};
}

// PgBouncer's words for a client: there is none for one that is idle.
std::string_view client_state(session_state of) {
    if (of == session_state::waiting || of == session_state::paused) return "waiting";
    return of == session_state::login ? "login" : "active";
}
std::string_view server_state(session_state of) {
    if (of == session_state::login) return "login";
    return of == session_state::active || of == session_state::in_transaction ? "active" : "idle";
}

row session_row(const session_facts& of) {
    const auto* server = of.server ? &*of.server : nullptr;
    return {number(of.id),
            of.user,
            of.database,
            of.application_name,
            of.tenant,
            of.at.host,
            number(of.at.port),
            server != nullptr ? text(settings::to_string(server->side)) : null,
            text(to_string(of.state)),
            of.since,
            of.connected,
            maybe(of.asked),
            number(of.bytes_from_client),
            number(of.bytes_to_client),
            number(of.transactions),
            number(of.memory),
            of.tls,
            server != nullptr ? value{server->at.host} : null,
            server != nullptr ? number(server->at.port) : null,
            server != nullptr ? number(server->pid) : null};
}

row client_row(const session_facts& of, instant now) {
    const auto wait = waited(of, now);
    return {text("C"),
            of.user,
            of.database,
            text(client_state(of.state)),
            of.at.host,
            number(of.at.port),
            of.to.host,
            number(of.to.port),
            of.connected,
            maybe(of.asked),
            whole_seconds(wait),
            rest_of_second(wait),
            none,
            key_of('C', of),
            of.server ? value{key_of('S', of)} : text(""),
            none,
            of.tls,
            of.application_name,
            number(of.id)};
}

row server_row(const session_facts& of) {
    const auto& server = *of.server;
    return {text("S"),
            of.user,
            server.database,
            text(server_state(of.state)),
            server.at.host,
            number(server.at.port),
            server.from.host,
            number(server.from.port),
            server.connected,
            maybe(of.asked),
            none,
            none,
            none,
            key_of('S', of),
            key_of('C', of),
            number(server.pid),
            server.tls,
            of.application_name,
            number(of.id),
            text(settings::to_string(server.side))};
}

std::vector<row> pool_rows(const facts& from) {
    struct pool {
        std::int64_t clients = 0, waiting = 0, active = 0, idle = 0, login = 0;
        microseconds longest{};
    };
    std::map<std::pair<std::string_view, std::string_view>, pool> pools;
    for (const auto& each : from.sessions) {
        auto& counted = pools[{each.database, each.user}];
        const auto wait = waited(each, from.now);
        counted.longest = std::max(counted.longest, wait);
        ++(is_waiting(each) ? counted.waiting : counted.clients);
        if (!each.server) continue;
        const auto state = server_state(each.state);
        ++(state == "login" ? counted.login : state == "active" ? counted.active : counted.idle);
    }
    std::vector<row> rows;
    for (const auto& [key, of] : pools)
        rows.push_back({text(key.first), text(key.second), of.clients, of.waiting, none, none, of.active, none, none,
                        of.idle, none, none, of.login, whole_seconds(of.longest), rest_of_second(of.longest),
                        text("session")});
    return rows;
}

std::vector<row> database_rows(const facts& from) {
    const auto& config = from.in_force->config;
    std::map<settings::side, std::int64_t> connections;
    for (const auto& each : from.sessions)
        if (each.server && each.server->database == config.database_of(each.server->side).dbname)
            ++connections[each.server->side];
    const auto authority = config.authority();
    const auto row_for = [&](settings::side side, const settings::database& of) {
        const bool paused = from.holds.covering({of.dbname, "", {}}, from.now) != nullptr;
        return row{text(settings::to_string(side)),
                   of.server.host,
                   number(of.server.port),
                   of.dbname,
                   null,
                   number(config.proxy.max_sessions),
                   none,
                   none,
                   text("session"),
                   number(config.proxy.max_sessions),
                   connections[side],
                   paused ? one : none,
                   none,
                   side == authority};
    };
    return {row_for(settings::side::legacy, config.legacy), row_for(settings::side::modern, config.modern)};
}

std::vector<row> list_rows(const facts& from) {
    std::set<std::string_view> databases;
    std::set<std::string_view> users;
    std::set<std::pair<std::string_view, std::string_view>> pools;
    std::int64_t logging_in = 0;
    std::int64_t servers = 0;
    for (const auto& each : from.sessions) {
        databases.insert(each.database);
        users.insert(each.user);
        pools.emplace(each.database, each.user);
        if (each.state == session_state::login) ++logging_in;
        if (each.server) ++servers;
    }
    return {{text("databases"), number(databases.size())},
            {text("users"), number(users.size())},
            {text("pools"), number(pools.size())},
            {text("free_clients"), none},
            {text("used_clients"), static_cast<std::int64_t>(from.sessions.size()) - logging_in},
            {text("login_clients"), logging_in},
            {text("free_servers"), none},
            {text("used_servers"), servers},
            {text("pauses"), number(from.holds.all().size())}};
}

row totals_row(const traffic_facts& of) {
    return {of.database,
            number(of.now.transactions),
            number(of.now.queries),
            number(of.now.bytes_from_clients),
            number(of.now.bytes_to_clients),
            micros(of.now.transaction_time),
            std::int64_t{of.now.query_time.count()},
            micros(of.now.wait_time)};
}

// Counts and bytes a second; times an item, but for the waiting, which PgBouncer too gives a second.
row averages_row(const traffic_facts& of) {
    const auto per_second = [&](std::uint64_t now, std::uint64_t before) {
        const auto apart = std::chrono::duration<double>(of.apart).count();
        return apart <= 0 ? std::int64_t{0} : static_cast<std::int64_t>(static_cast<double>(now - before) / apart);
    };
    const auto per_item = [](microseconds now, microseconds before, std::uint64_t items) {
        return items == 0 ? std::int64_t{0} : (now - before).count() / static_cast<std::int64_t>(items);
    };
    const auto transactions = of.now.transactions - of.before.transactions;
    const auto queries = of.now.queries - of.before.queries;
    row made{of.database,
             per_second(of.now.transactions, of.before.transactions),
             per_second(of.now.queries, of.before.queries),
             per_second(of.now.bytes_from_clients, of.before.bytes_from_clients),
             per_second(of.now.bytes_to_clients, of.before.bytes_to_clients),
             null,
             per_item(of.now.query_time, of.before.query_time, queries),
             null};
    if (of.now.transaction_time && of.before.transaction_time)
        made[5] = per_item(*of.now.transaction_time, *of.before.transaction_time, transactions);
    if (of.now.wait_time && of.before.wait_time)
        made[7] = per_second(static_cast<std::uint64_t>(of.now.wait_time->count()),
                             static_cast<std::uint64_t>(of.before.wait_time->count()));
    return made;
}

row stats_row(const traffic_facts& of) {
    auto both = totals_row(of);
    const auto averages = averages_row(of);
    both.insert(both.end(), averages.begin() + 1, averages.end());
    return both;
}

std::vector<row> flag_rows(const settings::in_force& now) {
    std::vector<row> rows;
    for (const auto& scope : now.config.flags.scopes()) {
        const auto flags = now.config.flags.resolve(scope.group, scope.tenant);
        rows.push_back({number(now.epoch), scope.group, scope.tenant,
                        text(settings::to_string(settings::authority(flags))),
                        text(settings::to_string(settings::effective_strategy(flags))), flags.hybrid_mode_enabled,
                        text(settings::to_string(flags.dual_write_strategy)),
                        text(settings::to_string(flags.hybrid_read_strategy)), flags.migration_drift_tolerance,
                        flags.cutover_completed, flags.cutover_guardrail_enabled, std::int64_t{flags.canary_percent},
                        text(settings::to_string(flags.on_mirror_failure))});
    }
    return rows;
}

std::vector<row> config_rows(const settings::configuration& config) {
    const auto defaults = settings::entries_of({});
    std::vector<row> rows;
    for (const auto& [key, set] : settings::entries_of(config)) {
        const bool secret = set.value == settings::shown::never;
        const auto unset = defaults.find(key);
        rows.push_back({key, text(secret ? "(not shown)" : set.text),
                        secret || unset == defaults.end() ? null : value{unset->second.text},
                        text(set.when == settings::takes_effect::on_reload ? "yes" : "no")});
    }
    return rows;
}

std::vector<row> pause_rows(const facts& from) {
    std::vector<row> rows;
    for (const auto& each : from.holds.all()) {
        std::int64_t sessions = 0;
        std::int64_t waiting = 0;
        for (const auto& session : from.sessions) {
            if (!covers(each.what, {session.database, session.tenant, {}})) continue;
            ++sessions;
            if (session.state == session_state::paused) ++waiting;
        }
        rows.push_back({to_string(each.what), each.since, each.until, each.by, sessions, waiting});
    }
    return rows;
}

std::vector<row> user_rows(const facts& from) {
    std::map<std::string_view, std::int64_t> users;
    for (const auto& each : from.sessions) ++users[each.user];
    std::vector<row> rows;
    for (const auto& [user, sessions] : users)
        rows.push_back(
            {text(user), text("session"), number(from.in_force->config.proxy.max_sessions_per_user), sessions});
    return rows;
}

// Sessions differ in size: theirs is the average.
std::vector<row> mem_rows(const facts& from) {
    std::uint64_t all = 0;
    for (const auto& each : from.sessions) all += each.memory;
    const auto count = from.sessions.size();
    std::vector<row> rows{{text("sessions"), number(count == 0 ? 0 : all / count), number(count), none, number(all)}};
    for (const auto& each : from.memory)
        rows.push_back({each.name, number(each.size), number(each.number), none, number(each.size * each.number)});
    return rows;
}

row stream_row(const stream_facts& of) {
    return {of.name,
            of.state,
            of.reason,
            of.way_out,
            of.confirmed_lsn,
            of.published_lsn,
            number(of.unacknowledged_events),
            number(of.retained_wal_bytes)};
}
row drift_row(const drift_facts& of) {
    return {of.tenant, of.table, of.kind, of.state, of.rows, maybe(of.first_seen), maybe(of.last_seen)};
}
row limit_row(const limit_facts& of) {
    return {of.name,          of.unit,   number(of.used), of.most_used ? number(*of.most_used) : null,
            number(of.limit), of.setting};
}

std::vector<row> each_as(const auto& all, auto&& make) {
    std::vector<row> rows;
    rows.reserve(all.size());
    for (const auto& one_of_them : all) rows.push_back(make(one_of_them));
    return rows;
}

}  // namespace

std::vector<row> help_rows() {
    return {
        {text("SHOW HELP"), text("this list")},
        {text("SHOW VERSION"), text("version of Crossfade")},
        {text("SHOW SESSIONS"), text("client sessions, each with its server; id is what KILL takes")},
        {text("SHOW CLIENTS | SERVERS"), text("the two ends of the sessions, as PgBouncer shows them")},
        {text("SHOW POOLS | DATABASES | USERS | LISTS"), text("sums over sessions, as PgBouncer shows them")},
        {text("SHOW STATS | STATS_TOTALS | STATS_AVERAGES"), text("traffic since the start, and of late")},
        {text("SHOW FLAGS"), text("flags in force, by scope, with their epoch")},
        {text("SHOW STREAM"), text("the publisher: state, reason, way out")},
        {text("SHOW DRIFT"), text("differences between the databases, by table, kind and state")},
        {text("SHOW CONFIG"), text("configuration in force, without secrets")},
        {text("SHOW LIMITS"), text("bounds, and how near they are")},
        {text("SHOW MEM"), text("memory of sessions and of what they share")},
        {text("SHOW PAUSES"), text("what is held, since when, until when")},
        {text("RELOAD"), text("read the configuration file again")},
        {text("PAUSE [GROUP g] [TENANT t] [DATABASE d]"),
         text("hold new transactions; returns when those under way have ended")},
        {text("RESUME [GROUP g] [TENANT t] [DATABASE d]"), text("let them go; without a scope, all of them")},
        {text("KILL id"), text("end a session, and what it has under way")},
        {text("SHUTDOWN"), text("end when transactions have ended, or proxy.drain_timeout is over")},
        {text("SHUTDOWN WAIT"), text("take no new sessions, and end when all clients have left")},
        {text("SHUTDOWN IMMEDIATE"), text("end at once")},
    };
}

std::vector<row> rows_of(subject what, const facts& from) {
    switch (what) {
        case subject::help:
        case subject::version:
            return {};  // known without facts
        case subject::sessions:
            return each_as(from.sessions, session_row);
        case subject::clients:
            return each_as(from.sessions, [&](const session_facts& of) { return client_row(of, from.now); });
        case subject::servers: {
            std::vector<row> rows;
            for (const auto& each : from.sessions)
                if (each.server) rows.push_back(server_row(each));
            return rows;
        }
        case subject::pools:
            return pool_rows(from);
        case subject::databases:
            return database_rows(from);
        case subject::lists:
            return list_rows(from);
        case subject::stats:
            return each_as(from.traffic, stats_row);
        case subject::stats_totals:
            return each_as(from.traffic, totals_row);
        case subject::stats_averages:
            return each_as(from.traffic, averages_row);
        case subject::flags:
            return flag_rows(*from.in_force);
        case subject::stream: {
            if (!from.stream) return {};
            return {stream_row(*from.stream)};
        }
        case subject::drift:
            return each_as(from.drift, drift_row);
        case subject::config:
            return config_rows(from.in_force->config);
        case subject::limits:
            return each_as(from.limits, limit_row);
        case subject::pauses:
            return pause_rows(from);
        case subject::users:
            return user_rows(from);
        case subject::mem:
            return mem_rows(from);
    }
    return {};
}

}  // namespace crossfade::proxy::console
