#include "ctl/flip/gates.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/check/listing.hpp"
#include "lib/handover/sequences.hpp"
#include "lib/settings/turned.hpp"
#include "lib/store/applied.hpp"
#include "lib/store/authority.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::ctl::flip {
namespace {

using namespace std::chrono_literals;
using catalog::ask;
using check::findings;
using check::listing;
using settings::side;

// For a mark to make its way through Kafka and a cdc that has something to do.
constexpr auto patience = 5s;

// A side, and the stream whose changes come from it.
struct end {
    std::string name;
    std::string stream;
    pgclient::connection& db;
};

std::vector<std::string> column(const pgclient::rows& of, int which = 0) {
    std::vector<std::string> all;
    for (int i = 0; i < of.size(); ++i) all.emplace_back(of.text(i, which));
    return all;
}

void look_at_rights(const end& on, findings& into) {
    const std::string id = on.name + ".role";
    if (catalog::read_role(on.db).replica_role)
        into.ok(id, "may set session_replication_role");
    else
        into.fail(id, "may not set session_replication_role, by which Crossfade's own writes pass the fence",
                  "GRANT SET ON PARAMETER session_replication_role TO the role of " + on.name + ".dsn");
}

void look_at_fence(const end& on, bool follows, findings& into) {
    const auto found = ask(on.db, "reading the fence", store::fenced_tables_sql(), {"crossfade_" + on.stream});
    std::vector<std::string> without;
    std::vector<std::string> wrong;
    for (int i = 0; i < found.size(); ++i) {
        if (!found.boolean(i, 2)) without.emplace_back(found.text(i, 1));
        if (found.boolean(i, 2) && found.boolean(i, 3) != follows) wrong.emplace_back(found.text(i, 1));
    }
    const std::string id = on.name + ".fence";
    if (found.empty())
        into.fail(id, "publication crossfade_" + on.stream + " has no tables", "crossfade init");
    else if (!without.empty())
        into.fail(id, "tables without the fence: " + listing(without), "crossfade init");
    else if (!wrong.empty())
        into.fail(id,
                  std::string{follows ? "tables that anybody may write to: " : "tables that refuse writes: "} +
                      listing(wrong),
                  "crossfade init");
    else
        into.ok(id, std::to_string(found.size()) + " tables, " +
                        (follows ? "the application's writes are refused" : "the application's writes pass"));
}

// A mark goes all the way and is applied: the way is open, and nothing lies before it.
void look_at_way(const end& from, const end& to, findings& into) {
    const std::string id = "stream." + from.stream;
    const auto mark = model::parse_lsn(
        ask(from.db, "sending a mark from " + from.name, "SELECT " + store::ask_to_be_told_sql() + "::text")
            .text(0, 0));
    const auto began = std::chrono::steady_clock::now();
    for (;;) {
        const auto progress = store::load_progress(to.db, from.stream, 0);
        const auto took = std::chrono::steady_clock::now() - began;
        if (progress && *progress && mark && (*progress)->end_lsn > *mark)
            return into.ok(id, "a mark went from " + from.name + " to " + to.name + " in " +
                                   std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()) +
                                   " ms");
        if (progress && !*progress)
            return into.fail(id, to.name + " has no progress of stream " + from.stream, "crossfade init");
        if (took > patience)
            return into.fail(id, "a mark from " + from.name + " was not applied on " + to.name + " within 5 s",
                             "crossfade status says where it stands: the publisher, Kafka or crossfade-cdc");
        std::this_thread::sleep_for(10ms);
    }
}

void look_at_tables(const end& from, const end& to, findings& into) {
    const auto publication = [](const end& of) {
        const auto found = ask(of.db, "reading publications",
                               "SELECT n.nspname || '.' || c.relname FROM pg_publication p JOIN pg_publication_rel r ON"
                               " r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid ="
                               " c.relnamespace WHERE p.pubname = $1::name ORDER BY 1",
                               {"crossfade_" + of.stream});
        const auto all = column(found);
        return std::set<std::string>(all.begin(), all.end());
    };
    const auto here = publication(from);
    const auto there = publication(to);
    std::vector<std::string> odd;
    for (const auto& each : here)
        if (!there.contains(each)) odd.push_back(each + " (not on " + to.name + ")");
    for (const auto& each : there)
        if (!here.contains(each)) odd.push_back(each + " (not on " + from.name + ")");
    if (!odd.empty()) return into.fail("tables", "carried one way alone: " + listing(odd), "crossfade init");

    const auto lacking = column(
        ask(to.db, "reading crossfade.tables",
            "SELECT table_name || ' (' || state || ')' FROM crossfade.tables WHERE stream = $1::text AND state <>"
            " 'live' ORDER BY 1",
            {from.stream}));
    if (!lacking.empty())
        return into.fail("tables", to.name + " lacks rows of " + listing(lacking), "crossfade backfill --live");
    into.ok("tables", std::to_string(here.size()) + " are whole on " + to.name);
}

void look_at_differences(const settings::configuration& config, const end& from, const end& to, findings& into) {
    const auto letters = ask(to.db, "reading dead letters",
                             "SELECT count(*) FROM crossfade.dead_letters WHERE stream = $1::text", {from.stream})
                             .integer(0, 0)
                             .value_or(0);
    if (letters > 0)
        into.warn("dead_letters", std::to_string(letters) + " changes are not applied on " + to.name,
                  "crossfade deadletters list; then replay or discard them");
    else
        into.ok("dead_letters", "none");

    const auto drift =
        ask(to.db, "reading drift",
            "SELECT count(*) FILTER (WHERE state = 'suspect'), count(*) FILTER (WHERE state = 'confirmed'),"
            " (SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_publication_rel r JOIN"
            " pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid WHERE p.pubname ="
            " $2::name) FROM crossfade.drift WHERE stream = $1::text",
            {from.stream, "crossfade_" + to.stream});
    const auto suspects = drift.integer(0, 0).value_or(0);
    const auto confirmed = drift.integer(0, 1).value_or(0);
    const auto rows = drift.integer(0, 2).value_or(0);
    const auto tolerance = config.flags.defaults().migration_drift_tolerance;
    if (suspects > 0)
        into.warn("drift", std::to_string(suspects) + " rows are suspected to differ", "crossfade verify");
    else if (confirmed > 0 && static_cast<double>(confirmed) > tolerance * static_cast<double>(rows))
        into.warn("drift",
                  std::to_string(confirmed) + " rows differ of " + std::to_string(rows) +
                      ", more than migration_drift_tolerance",
                  "crossfade drift list; crossfade backfill --live --again --tables ...");
    else
        into.ok("drift", confirmed == 0 ? "none" : std::to_string(confirmed) + " rows, which is tolerated");
}

void look_at_sequences(const end& from, const end& to, findings& into) {
    const auto read = [](const end& of) {
        return handover::read_sequences(
            ask(of.db, "reading sequences", handover::sequences_sql(), {"crossfade_" + of.stream}));
    };
    const auto here = read(from);
    const auto there = read(to);
    std::vector<std::string> against;
    for (const auto& [column, sequence] : here) {
        const auto found = there.find(column);
        if (found == there.end()) {
            against.push_back(column + " draws from no sequence on " + to.name);
        } else if (auto planned = plan_move(sequence, found->second); !planned.objection.empty()) {
            against.push_back(column + ": " + planned.objection);
        }
    }
    if (against.empty())
        into.ok("sequences", std::to_string(here.size()) + " can be set ahead on " + to.name);
    else
        into.fail("sequences", listing(against), "make the columns alike on both sides");
}

// A key that leads out of the stream would tie rows of two authorities.
void look_at_ties(const end& on, findings& into) {
    const auto found = ask(
        on.db, "reading foreign keys",
        "WITH t AS (" + std::string{store::stream_tables_sql} +
            ")"
            " SELECT conrelid::regclass || ' -> ' || confrelid::regclass || ' (' || conname || ')' FROM pg_constraint"
            " WHERE contype = 'f' AND conparentid = 0 AND (conrelid IN (TABLE t)) <> (confrelid IN (TABLE t)) ORDER BY "
            "1",
        {"crossfade_" + on.stream});
    const auto edges = column(found);
    const std::string id = on.name + ".foreign_keys";
    if (edges.empty())
        into.ok(id, "none leads out of the stream's tables");
    else
        into.fail(id, "lead out of the stream's tables: " + listing(edges),
                  "take both tables of each into stream.tables, then crossfade init");
}

void look_at_transactions(const end& from, findings& into) {
    const auto prepared =
        column(ask(from.db, "reading prepared transactions",
                   "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared"));
    if (!prepared.empty())
        into.fail("prepared_transactions", std::to_string(prepared.size()) + " on " + from.name + " hold their locks",
                  "COMMIT PREPARED or ROLLBACK PREPARED them");
    const auto long_ones =
        ask(from.db, "reading transactions",
            "SELECT pid || ' of ' || usename || ', for ' || date_trunc('second', clock_timestamp() -"
            " xact_start) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS"
            " NOT NULL AND clock_timestamp() - xact_start > interval '1 second' ORDER BY xact_start");
    if (!long_ones.empty())
        into.warn("transactions",
                  "that have written run for long on " + from.name + ": process " + listing(column(long_ones)),
                  "wait for their end, or end them; a flip that meets them is undone");
    else if (prepared.empty())
        into.ok("transactions", "none on " + from.name + " is long");
}

void look_at_flags(const settings::configuration& config, side to, findings& into) {
    const auto leaves_out =
        to == side::modern ? settings::write_strategy::legacy_only : settings::write_strategy::modern_only;
    if (config.flags.has(leaves_out))
        into.fail("strategy", "under " + std::string{to_string(leaves_out)} + " the other side does not get all rows",
                  to == side::modern ? "legacy-primary or mirror for every scope" : "prefer-modern for every scope");
}

}  // namespace

findings look(const settings::configuration& config, side to, pgclient::connection& legacy,
              pgclient::connection& modern) {
    const auto& stream = config.stream.name;
    const end old_end{"legacy", stream, legacy};
    const end new_end{"modern", settings::back_stream(stream), modern};
    const auto& from = to == side::modern ? old_end : new_end;
    const auto& onto = to == side::modern ? new_end : old_end;
    findings found;
    look_at_flags(config, to, found);
    look_at_rights(from, found);
    look_at_rights(onto, found);
    look_at_fence(from, false, found);
    look_at_fence(onto, true, found);
    look_at_tables(from, onto, found);
    look_at_ties(from, found);
    look_at_ties(onto, found);
    look_at_sequences(from, onto, found);
    look_at_differences(config, from, onto, found);
    look_at_transactions(from, found);
    look_at_way(from, onto, found);
    look_at_way(onto, from, found);
    return found;
}

}  // namespace crossfade::ctl::flip
