// What a flip says of those that it was undone for.
#include <algorithm>

#include "lib/handover/coordinator_state.hpp"
#include "lib/handover/wholeness.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/preflight/listing.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::handover {
namespace {

constexpr int most_named = 10;

// Of those that hold what SHARE ROW EXCLUSIVE waits for: a lock alone gives a transaction no id, and one that is
// prepared has no process.
constexpr const char* obstacles_sql =
    "WITH l AS (SELECT pid, virtualtransaction FROM pg_locks WHERE granted AND locktype = 'relation' AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database()) AND relation = ANY ($1::oid[])"
    " AND mode NOT IN ('AccessShareLock', 'RowShareLock')),"
    " o AS (SELECT xact_start AS since, 'process ' || pid || ' of ' || coalesce(usename, '?') || ' (' ||"
    " application_name || '), ' || coalesce(state, backend_type) || ', its transaction began ' AS who"
    " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND (backend_xid IS NOT NULL OR pid IN (SELECT pid FROM l))"
    " UNION ALL SELECT prepared, 'prepared transaction ' || quote_literal(gid) || ' of ' || owner || ', prepared '"
    " FROM pg_prepared_xacts WHERE database = current_database())"
    " SELECT who || (extract(epoch FROM clock_timestamp() - since) * 1000)::bigint || ' ms ago' FROM o"
    " ORDER BY since";

}  // namespace

std::vector<std::string> coordinator::obstacles(place& on) {
    pgwire::array_literal tables;
    for (const auto& each : on.tables) tables.add(each.oid);
    const auto found = ask(on, "looking for who is in the way", obstacles_sql, {tables.take()});
    std::vector<std::string> all;
    for (int i = 0; i < std::min(found.size(), most_named); ++i) all.emplace_back(found.text(i, 0));
    return all;
}

// What was not taken by the new side is not there, though the stream has passed it.
std::int64_t coordinator::letters(place& on, const std::string& stream) {
    return ask(on, "counting dead letters", "SELECT count(*) FROM crossfade.dead_letters WHERE stream = $1::text",
               {stream})
        .integer(0, 0)
        .value_or(0);
}

// Whoever dropped it since the gates were looked at has taken the way back along.
bool coordinator::leads_back(place& on) {
    return !ask(on, "looking for the way back's slot",
                "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1::name AND wal_status IS DISTINCT FROM 'lost'",
                {"crossfade_" + on.stream})
                .empty();
}

// What was asked for, or was left out of a table, since the gates were looked at.
std::string coordinator::not_whole(const attempt& made) {
    auto& on = need(settings::other(made.from));
    const auto& stream = need(made.from).stream;
    const auto listed = [&](const char* sql, const std::vector<pgclient::parameter>& parameters) {
        const auto found = ask(on, "looking whether its tables are whole", sql, parameters);
        std::vector<std::string> all;
        for (int i = 0; i < found.size(); ++i) all.emplace_back(found.text(i, 0));
        return preflight::listing(all);
    };
    if (const auto lacking = listed(not_whole_sql, {stream}); !lacking.empty())
        return name(on.which) + " lacks rows of " + lacking;
    const auto copies =
        listed(unfinished_copies_sql, {stream, names_of_moving(made.what.meant, config_.flags, on.tables)});
    if (copies.empty()) return {};
    return "copies that are not done would go over what " + name(on.which) + " takes then: " + copies;
}

}  // namespace crossfade::handover
