// What has to be open for rows to come from one side to the other.
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "lib/handover/coordinator.hpp"
#include "lib/handover/drift.hpp"
#include "lib/handover/gates_parts.hpp"
#include "lib/handover/pause.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/preflight/listing.hpp"
#include "lib/settings/turned.hpp"
#include "lib/store/applied.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::handover::gates {
namespace {

using namespace std::chrono_literals;
using preflight::findings;
using preflight::listing;

// For a row to make its way through Kafka and a cdc that has something to do.
constexpr auto patience = 5s;
constexpr auto look_again = 10ms;

// What the publication leaves out, beside tables; empty: nothing.
std::string left_out_by_publication(const end& from) {
    const auto found =
        ask(from.db, "reading publications",
            "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot, EXISTS (SELECT FROM"
            " pg_publication_rel r WHERE r.prpubid = p.oid AND (to_jsonb(r) ->> 'prqual' IS NOT NULL OR"
            " to_jsonb(r) ->> 'prattrs' IS NOT NULL)), EXISTS (SELECT FROM pg_publication_rel r WHERE"
            " r.prpubid = p.oid AND r.prrelid = to_regclass('crossfade.sentinel'))"
            " FROM pg_publication p WHERE pubname = $1::name",
            {"crossfade_" + from.stream});
    const std::string what = "publication crossfade_" + from.stream + " on " + from.name;
    if (found.empty()) return from.name + " has no publication crossfade_" + from.stream;
    if (!found.boolean(0, 0)) return what + " leaves operations out";
    if (!found.boolean(0, 1)) return what + " publishes partitions by their own names";
    if (found.boolean(0, 2)) return what + " leaves rows or columns out";
    if (!found.boolean(0, 3)) return what + " does not carry crossfade.sentinel";
    return {};
}

struct sentinel {
    std::string series;
    std::string word;
    std::string before;  // an array of series that both sides have had
    std::optional<model::lsn> mark;
};

// The newest series that either side has had, and those that they have alike. What the follower lacks, as the way was
// shut when it was written, stays where it is: its removal would be a conflict there.
sentinel next_sentinel(const end& from, const end& to) {
    const std::string sql = "SELECT series::text, word FROM crossfade.sentinel WHERE stream = $1::text";
    const auto here = ask(from.db, "reading crossfade.sentinel on " + from.name, sql, {from.stream});
    const auto there = ask(to.db, "reading crossfade.sentinel on " + to.name, sql, {from.stream});
    std::int64_t newest = 0;
    for (const auto* each : {&here, &there})
        for (int i = 0; i < each->size(); ++i) newest = std::max(newest, each->integer(i, 0).value_or(0));
    pgwire::array_literal alike;
    for (int i = 0; i < here.size(); ++i)
        for (int k = 0; k < there.size(); ++k)
            if (here.text(i, 0) == there.text(k, 0) && here.text(i, 1) == there.text(k, 1)) alike.add(here.text(i, 0));
    return {.series = std::to_string(newest + 1), .word = {}, .before = alike.take(), .mark = {}};
}

// An INSERT, an UPDATE and, but for the first time, a DELETE in one transaction; and a mark behind it, which goes to
// every partition of a topic.
sentinel send_sentinel(const end& from, const end& to) {
    auto made = next_sentinel(from, to);
    const std::string doing = "writing crossfade.sentinel on " + from.name;
    ask(from.db, doing, "BEGIN");
    ask(from.db, doing, "INSERT INTO crossfade.sentinel (stream, series, word) VALUES ($1::text, $2::bigint, '')",
        {from.stream, made.series});
    made.word = ask(from.db, doing,
                    "UPDATE crossfade.sentinel SET word = md5(random()::text || clock_timestamp()::text)"
                    " WHERE stream = $1::text AND series = $2::bigint RETURNING word",
                    {from.stream, made.series})
                    .text(0, 0);
    ask(from.db, doing, "DELETE FROM crossfade.sentinel WHERE stream = $1::text AND series = ANY ($2::bigint[])",
        {from.stream, made.before});
    ask(from.db, doing, "COMMIT");
    // Behind the commit: others may commit in front of it, and the stream is then past a mark within it without it.
    const auto mark = ask(from.db, doing, "SELECT " + store::ask_to_be_told_sql() + "::text");
    if (const auto at = model::parse_lsn(mark.text(0, 0))) made.mark = *at;
    return made;
}

// In all partitions: the mark has gone to each.
bool has_passed(const sentinel& what, const std::string& stream, const end& to) {
    if (!what.mark) return false;
    return ask(to.db, "reading progress on " + to.name,
               "SELECT coalesce(min(end_lsn) > $2::pg_lsn, false) FROM crossfade.progress WHERE stream = $1::text",
               {stream, model::to_string(*what.mark)})
        .boolean(0, 0);
}

bool has_come(const sentinel& what, const std::string& stream, const end& to) {
    const auto found = ask(to.db, "reading crossfade.sentinel on " + to.name,
                           "SELECT count(*) FILTER (WHERE series = $2::bigint AND word = $3::text) = 1 AND"
                           " count(*) FILTER (WHERE series = ANY ($4::bigint[])) = 0"
                           " FROM crossfade.sentinel WHERE stream = $1::text",
                           {stream, what.series, what.word, what.before});
    return found.boolean(0, 0);
}

// About how many rows the tables have, by the stream's names; 0 where nobody has counted. A partitioned one's are its
// leaves'.
std::map<std::string, std::int64_t> rows_of_tables(const end& of) {
    const auto found =
        ask(of.db, "reading sizes of tables on " + of.name,
            "SELECT n.nspname || '.' || c.relname, sum(greatest(l.reltuples, pg_stat_get_live_tuples(l.oid)))::bigint"
            " FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (SELECT c.oid AS relid UNION SELECT"
            " relid::oid FROM pg_partition_tree(c.oid)) t JOIN pg_class l ON l.oid = t.relid AND l.relkind = 'r'"
            " WHERE p.pubname = $1::name GROUP BY 1",
            {"crossfade_" + of.stream});
    std::map<std::string, std::int64_t> all;
    for (int i = 0; i < found.size(); ++i) all[std::string{found.text(i, 0)}] = found.integer(i, 1).value_or(0);
    return all;
}

std::string milliseconds_text(std::chrono::steady_clock::duration time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) + " ms";
}

}  // namespace

pgclient::connection connect(const settings::configuration& config, settings::side which) {
    auto opened = pgclient::connection::open(config.database_of(which).dsn, {.application_name = "crossfade-flip",
                                                                             .silence = config.stream.silence_timeout});
    if (!opened)
        throw trouble("no connection to " + std::string{to_string(which)} + ": " + pgclient::to_string(opened.error()));
    if (const auto set = opened->exec("SET lock_timeout = '2s'"); !set)
        throw trouble(std::string{to_string(which)} + ": " + pgclient::to_string(set.error()));
    return std::move(*opened);
}

end end_at(const settings::configuration& config, settings::side which, pgclient::connection& on) {
    const auto& stream = config.stream.name;
    end made{which, std::string{to_string(which)},
             which == settings::side::legacy ? stream : settings::back_stream(stream), on};
    auto tables = store::load_fences(on, "crossfade_" + made.stream, config.tenants.column);
    if (!tables) throw trouble("reading the fence on " + made.name + ": " + pgclient::to_string(tables.error()));
    made.tables = std::move(*tables);
    return made;
}

pgclient::rows ask(pgclient::connection& on, const std::string& doing, const std::string& sql,
                   const std::vector<pgclient::parameter>& parameters) {
    auto got = parameters.empty() ? on.exec(sql) : on.exec(sql, parameters);
    if (!got) throw trouble(doing + ": " + pgclient::to_string(got.error()));
    return std::move(*got);
}

std::vector<std::string> column(const pgclient::rows& of, int which) {
    std::vector<std::string> all;
    for (int i = 0; i < of.size(); ++i) all.emplace_back(of.text(i, which));
    return all;
}

void look_at_rights(const end& on, findings& into) {
    const std::string id = on.name + ".role";
    // GRANT SET ON PARAMETER came with PostgreSQL 15.
    const std::string granted =
        on.db.server_version() >= 150000 ? " OR has_parameter_privilege('session_replication_role', 'SET')" : "";
    if (!ask(on.db, "reading the role", "SELECT rolsuper" + granted + " FROM pg_roles WHERE rolname = current_user")
             .boolean(0, 0))
        return into.fail(id, "may not set session_replication_role, by which Crossfade's own writes pass the fence",
                         "GRANT SET ON PARAMETER session_replication_role TO the role of " + on.name + ".dsn");
    pgwire::array_literal tables;
    for (const auto& each : on.tables) tables.add(each.oid);
    const auto lacking = column(
        ask(on.db, "reading the role's rights",
            "SELECT t.oid::regclass::text FROM unnest($1::oid[]) AS t(oid) JOIN pg_class c USING (oid) WHERE NOT"
            " (pg_has_role(c.relowner, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid,"
            " 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') AND"
            " has_table_privilege(c.oid, 'TRUNCATE') AND NOT row_security_active(c.oid)) ORDER BY 1",
            {tables.take()}));
    if (!lacking.empty())
        return into.fail(id, "does not own, or may not read or write: " + listing(lacking),
                         "make the role of " + on.name + ".dsn their owner, with all rights and no row security");
    into.ok(id, "may set session_replication_role, and write all tables");
}

void look_at_way(const end& from, const end& to, const std::stop_token& give_up, findings& into) {
    const std::string id = "stream." + from.stream;
    if (const auto left_out = left_out_by_publication(from); !left_out.empty())
        return into.fail(id, left_out, "crossfade init");
    if (const auto progress = store::load_progress(to.db, from.stream, 0); progress && !*progress)
        return into.fail(id, to.name + " has no progress of stream " + from.stream, "crossfade init");
    const auto sent = send_sentinel(from, to);
    const auto began = std::chrono::steady_clock::now();
    for (;;) {
        const bool passed = has_passed(sent, from.stream, to);
        const auto took = std::chrono::steady_clock::now() - began;
        // Row and progress are one transaction there.
        if (passed && has_come(sent, from.stream, to))
            return into.ok(id, "a row went from " + from.name + " to " + to.name + " in " + milliseconds_text(took));
        if (passed)
            return into.fail(id,
                             "a row from " + from.name + " is not on " + to.name + ", though the stream has passed it",
                             "crossfade deadletters list, crossfade ddl list: who keeps it back?");
        if (took > patience || !pause(give_up, look_again))
            return into.fail(id, "a row from " + from.name + " was not applied on " + to.name + " within 5 s",
                             "crossfade status says where it stands: the publisher, Kafka or crossfade-cdc");
    }
}

void look_at_differences(const settings::flag_set& flags, const intent& what, const end& from, const end& to,
                         findings& into) {
    const auto letters = ask(to.db, "reading dead letters",
                             "SELECT count(*) FROM crossfade.dead_letters WHERE stream = $1::text", {from.stream})
                             .integer(0, 0)
                             .value_or(0);
    if (letters > 0)
        into.warn("dead_letters", std::to_string(letters) + " changes are not applied on " + to.name,
                  "crossfade deadletters list; then replay or discard them");
    else
        into.ok("dead_letters", "none");

    const auto records = ask(to.db, "reading drift",
                             "SELECT table_name, tenant, count(*) FILTER (WHERE state = 'suspect'),"
                             " count(*) FILTER (WHERE state = 'confirmed') FROM crossfade.drift"
                             " WHERE stream = $1::text AND state IN ('suspect', 'confirmed') GROUP BY 1, 2",
                             {from.stream});
    std::vector<recorded_drift> drift;
    for (int i = 0; i < records.size(); ++i)
        drift.push_back({std::string{records.text(i, 0)}, std::string{records.text(i, 1)},
                         records.integer(i, 2).value_or(0), records.integer(i, 3).value_or(0)});
    into.add(judge(drift, rows_of_tables(to), to.tables, flags, what));
}

}  // namespace crossfade::handover::gates
