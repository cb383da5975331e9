#include "ctl/catalog/read.hpp"

#include <algorithm>
#include <set>

#include "ctl/catalog/database.hpp"
#include "ctl/exit_code.hpp"
#include "lib/model/table_name.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/store/ddl_watch.hpp"
#include "lib/store/ties.hpp"

namespace crossfade::ctl::catalog {

namespace {

constexpr std::string_view doing = "reading the catalog";

std::string str(const pgclient::rows& rows, int row, int column) {
    return std::string{rows.text(row, column)};
}

model::table_name name_at(const pgclient::rows& rows, int row, int column) {
    return {str(rows, row, column), str(rows, row, column + 1)};
}

model::lsn lsn_at(const pgclient::rows& rows, int row, int column) {
    const auto parsed = model::parse_lsn(rows.text(row, column));
    return parsed ? *parsed : model::lsn{};
}

constexpr const char* tables_sql = R"(
SELECT c.oid::int8, n.nspname, c.relname, c.relkind = 'p', c.relpersistence = 'u',
       -- what counts for a partitioned table is what its leaves write; of one that is FULL itself all should be
       coalesce(CASE WHEN c.relkind = 'p' AND c.relreplident <> 'f' THEN
                  (SELECT CASE WHEN bool_or(l.relreplident = 'n') THEN 'n'::"char"
                               WHEN bool_and(l.relreplident = 'f') THEN 'f'::"char" ELSE 'd'::"char" END
                   FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf) END,
                c.relreplident),
       c.relrowsecurity,
       pg_has_role(c.relowner, 'USAGE'),
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'INSERT')
         AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
         AND has_table_privilege(c.oid, 'TRUNCATE'),
       CASE WHEN c.relkind = 'p' THEN
              (SELECT coalesce(sum(greatest(l.reltuples, 0)), 0)::int8
               FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf)
            ELSE greatest(c.reltuples, 0)::int8 END,
       CASE WHEN c.relkind = 'p' THEN
              (SELECT coalesce(sum(pg_table_size(t.relid)), 0)::int8 FROM pg_partition_tree(c.oid) t WHERE t.isleaf)
            ELSE pg_table_size(c.oid) END,
       CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid::int8 ELSE c.oid::int8 END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('information_schema', 'crossfade') AND n.nspname !~ '^pg_'
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C")";

constexpr const char* columns_sql = R"(
SELECT a.attrelid::int8, a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid::int8, a.attnotnull,
       a.attgenerated <> '', a.attidentity <> '', a.atthasdef OR a.attidentity <> ''
FROM pg_attribute a
WHERE a.attrelid = ANY ($1::int8[]::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum)";

constexpr const char* keys_sql = R"(
SELECT i.indrelid::int8, a.attname, i.indisprimary,
       i.indimmediate AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE (i.indisprimary OR i.indisreplident) AND i.indrelid = ANY ($1::int8[]::oid[]) AND k.place <= i.indnkeyatts
ORDER BY i.indrelid, i.indexrelid, k.place)";

std::string unlike_parts_sql() {
    return "SELECT t.oid::int8, n.nspname, c.relname FROM " + store::parts_sql("(SELECT unnest($1::int8[]::oid[]))") +
           " AS t JOIN pg_class w ON w.oid = t.oid AND w.relkind = 'p' AND w.relreplident IN ('f', 'i')"
           " JOIN pg_class c ON c.oid = t.part AND c.oid <> w.oid AND c.relkind IN ('r', 'p')"
           " AND c.relreplident NOT IN ('f', w.relreplident)"
           " JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1, 2, 3";
}

constexpr const char* triggers_sql = R"(
SELECT t.tgrelid::int8, t.tgname, t.tgenabled IN ('A', 'R')
FROM pg_trigger t
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgname NOT LIKE 'crossfade\_truncate%' AND t.tgrelid = ANY ($1::int8[]::oid[])
ORDER BY t.tgrelid, t.tgname)";

constexpr const char* foreign_keys_sql = R"(
SELECT k.conname, fn.nspname, f.relname, tn.nspname, t.relname
FROM pg_constraint k
JOIN pg_class f ON f.oid = k.conrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
  AND (k.conrelid = ANY ($1::int8[]::oid[]) OR k.confrelid = ANY ($1::int8[]::oid[]))
ORDER BY fn.nspname, f.relname, k.conname)";

constexpr const char* role_sql = R"(
SELECT r.rolname, r.rolsuper, r.rolreplication OR r.rolsuper, r.rolbypassrls OR r.rolsuper,
       has_database_privilege(current_database(), 'CREATE'),
       has_function_privilege('pg_replication_origin_create(text)', 'EXECUTE')
         AND has_function_privilege('pg_replication_origin_session_setup(text)', 'EXECUTE')
FROM pg_roles r WHERE r.rolname = current_user)";

constexpr const char* server_sql = R"(
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
       (SELECT system_identifier::text FROM pg_control_system()), d.oid::int8, d.datname, pg_is_in_recovery(),
       pg_encoding_to_char(d.encoding), d.datcollate,
       (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_stat_replication),
       (SELECT count(*) FROM pg_largeobject_metadata),
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text,
       (SELECT reset_val FROM pg_settings WHERE name = 'TimeZone')
FROM pg_database d WHERE d.datname = current_database())";

std::string oids_of(const std::vector<table>& tables) {
    pgwire::array_literal oids;
    for (const auto& each : tables) oids.add(std::to_string(each.oid));
    return oids.take();
}

table* by_oid(std::vector<table>& tables, std::int64_t oid) {
    const auto at = std::ranges::find_if(tables, [&](const table& each) { return each.oid == oid; });
    return at == tables.end() ? nullptr : &*at;
}

}  // namespace

const table* database::find(const model::table_name& wanted) const {
    const auto at = std::ranges::find_if(tables, [&](const table& each) { return each.name == wanted; });
    return at == tables.end() ? nullptr : &*at;
}

std::string database::setting(const std::string& key) const {
    const auto at = settings.find(key);
    return at == settings.end() ? std::string{} : at->second;
}

std::vector<table> read_tables(pgclient::connection& from, const std::vector<std::string>& patterns) {
    const auto wanted = [&](const model::table_name& name) {
        return std::ranges::any_of(patterns, [&](const auto& pattern) { return model::matches(pattern, name); });
    };
    const auto found = ask(from, doing, tables_sql);
    std::set<std::int64_t> captured;
    for (int i = 0; i < found.size(); ++i)
        if (wanted(name_at(found, i, 1))) captured.insert(found.integer(i, 0).value_or(0));

    std::vector<table> tables;
    for (int i = 0; i < found.size(); ++i) {
        const auto oid = found.integer(i, 0).value_or(0);
        const auto root = found.integer(i, 12).value_or(0);
        if (!captured.contains(oid) || (root != oid && captured.contains(root))) continue;
        table made;
        made.oid = static_cast<std::uint32_t>(oid);
        made.name = name_at(found, i, 1);
        made.kind = found.boolean(i, 3) ? table_kind::partitioned : table_kind::plain;
        made.unlogged = found.boolean(i, 4);
        made.identity = static_cast<replica_identity>(found.text(i, 5).front());
        made.row_security = found.boolean(i, 6);
        made.owned = found.boolean(i, 7);
        made.readable = found.boolean(i, 8);
        made.writable = found.boolean(i, 9);
        made.rows = found.integer(i, 10).value_or(0);
        made.bytes = found.integer(i, 11).value_or(0);
        tables.push_back(std::move(made));
    }

    const std::string oids = oids_of(tables);
    const auto columns = ask(from, doing, columns_sql, {oids});
    for (int i = 0; i < columns.size(); ++i) {
        auto* owner = by_oid(tables, columns.integer(i, 0).value_or(0));
        if (owner == nullptr) continue;
        owner->columns.push_back({.name = str(columns, i, 1),
                                  .type = str(columns, i, 2),
                                  .type_oid = static_cast<std::uint32_t>(columns.integer(i, 3).value_or(0)),
                                  .not_null = columns.boolean(i, 4),
                                  .generated = columns.boolean(i, 5),
                                  .identity = columns.boolean(i, 6),
                                  .filled = columns.boolean(i, 7)});
    }
    const auto keys = ask(from, doing, keys_sql, {oids});
    for (int i = 0; i < keys.size(); ++i) {
        auto* owner = by_oid(tables, keys.integer(i, 0).value_or(0));
        if (owner == nullptr) continue;
        if (keys.boolean(i, 2)) owner->key.push_back(str(keys, i, 1));
        if (keys.boolean(i, 3)) owner->identity_columns.push_back(str(keys, i, 1));
    }
    const auto unlike = ask(from, doing, unlike_parts_sql(), {oids});
    for (int i = 0; i < unlike.size(); ++i)
        if (auto* owner = by_oid(tables, unlike.integer(i, 0).value_or(0)))
            owner->unlike_parts.push_back(name_at(unlike, i, 1));
    auto ties = store::read_ties(from, oids);
    if (!ties) throw stop(exit_code::no, std::string{doing} + ": " + to_string(ties.error()));
    for (auto& each : tables) each.ties = std::move((*ties)[each.oid]);
    const auto triggers = ask(from, doing, triggers_sql, {oids});
    for (int i = 0; i < triggers.size(); ++i)
        if (auto* owner = by_oid(tables, triggers.integer(i, 0).value_or(0)))
            (triggers.boolean(i, 2) ? owner->firing_triggers : owner->ordinary_triggers).push_back(str(triggers, i, 1));
    return tables;
}

std::vector<foreign_key> read_foreign_keys(pgclient::connection& from, const std::vector<table>& tables) {
    const auto found = ask(from, doing, foreign_keys_sql, {oids_of(tables)});
    std::vector<foreign_key> keys;
    keys.reserve(static_cast<std::size_t>(found.size()));
    for (int i = 0; i < found.size(); ++i)
        keys.push_back({.name = str(found, i, 0), .from = name_at(found, i, 1), .to = name_at(found, i, 3)});
    return keys;
}

std::optional<slot> read_slot(pgclient::connection& from, const std::string& name) {
    const auto found = ask(from, "reading the replication slot",
                           "SELECT plugin, database, active, coalesce(wal_status, ''),"
                           " coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
                           " ELSE pg_current_wal_lsn() END, restart_lsn), 0)::int8, confirmed_flush_lsn::text,"
                           // Columns that not every version has.
                           " coalesce(to_jsonb(s) ->> 'invalidation_reason', ''), (to_jsonb(s) ->> 'failover')::bool"
                           " FROM pg_replication_slots s WHERE slot_name = $1",
                           {name});
    if (found.empty()) return std::nullopt;
    slot made{.plugin = str(found, 0, 0),
              .database = str(found, 0, 1),
              .active = found.boolean(0, 2),
              .wal_status = str(found, 0, 3),
              .retained_bytes = found.integer(0, 4).value_or(0),
              .confirmed = std::nullopt,
              .invalidation = str(found, 0, 6),
              .failover = std::nullopt};
    if (!found.null(0, 5)) made.confirmed = lsn_at(found, 0, 5);
    if (!found.null(0, 7)) made.failover = found.boolean(0, 7);
    return made;
}

namespace {

void read_standbys(pgclient::connection& from, database& into) {
    const auto slots = ask(from, "reading replication slots",
                           "SELECT slot_name, active FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT"
                           " temporary ORDER BY 1");
    for (int i = 0; i < slots.size(); ++i)
        into.standby_slots.push_back({.name = str(slots, i, 0), .active = slots.boolean(i, 1)});
    into.standbys_without_slot = ask(from, "reading pg_stat_replication",
                                     "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND pid NOT IN"
                                     " (SELECT active_pid FROM pg_replication_slots WHERE active_pid IS NOT NULL)")
                                     .integer(0, 0)
                                     .value_or(0);
}

}  // namespace

std::optional<publication> read_publication(pgclient::connection& from, const std::string& name) {
    const auto found = ask(from, "reading the publication",
                           "SELECT puballtables, pubviaroot, pubinsert AND pubupdate AND pubdelete AND pubtruncate"
                           " FROM pg_publication WHERE pubname = $1",
                           {name});
    if (found.empty()) return std::nullopt;
    publication made{.all_tables = found.boolean(0, 0),
                     .via_root = found.boolean(0, 1),
                     .every_operation = found.boolean(0, 2),
                     .filtered = false,
                     .tables = {}};
    // Row filters and column lists came with PostgreSQL 15.
    const std::string filtered =
        from.server_version() >= 150000 ? "(r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)" : "false";
    const auto tables = ask(from, "reading the publication",
                            "SELECT n.nspname, c.relname, " + filtered +
                                " FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid"
                                " JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
                                " WHERE p.pubname = $1 AND n.nspname <> 'crossfade' ORDER BY 1, 2",
                            {name});
    for (int i = 0; i < tables.size(); ++i) {
        made.tables.push_back(name_at(tables, i, 0));
        made.filtered = made.filtered || tables.boolean(i, 2);
    }
    return made;
}

std::optional<progress> read_progress(pgclient::connection& from, const std::string& stream) {
    const auto rows = ask(from, "reading crossfade.progress",
                          "SELECT partition, next_offset, timeline, commit_lsn::text, end_lsn::text,"
                          " greatest(extract(epoch FROM now() - updated_at), 0)::text, system_identifier::text"
                          " FROM crossfade.progress WHERE stream = $1 ORDER BY partition",
                          {stream});
    if (rows.empty()) return std::nullopt;
    progress made{.system_identifier = str(rows, 0, 6), .partitions = {}};
    for (int i = 0; i < rows.size(); ++i)
        made.partitions.push_back({.partition = static_cast<int>(rows.integer(i, 0).value_or(0)),
                                   .next_offset = rows.integer(i, 1).value_or(0),
                                   .timeline = static_cast<std::uint32_t>(rows.integer(i, 2).value_or(0)),
                                   .commit_lsn = lsn_at(rows, i, 3),
                                   .end_lsn = lsn_at(rows, i, 4),
                                   .age_seconds = std::stod(str(rows, i, 5))});
    return made;
}

store_facts read_store(pgclient::connection& from, const std::string& stream) {
    store_facts made;
    const auto present = ask(from, "reading schema crossfade",
                             "SELECT to_regclass('crossfade.meta') IS NOT NULL AND"
                             " to_regclass('crossfade.progress') IS NOT NULL AND"
                             " to_regclass('crossfade.tables') IS NOT NULL,"
                             " coalesce(has_schema_privilege(to_regnamespace('crossfade')::oid, 'USAGE'), false)");
    if (!present.boolean(0, 0) || !present.boolean(0, 1)) {
        made.present = present.boolean(0, 0);
        return made;
    }
    made.present = true;
    made.usable = ask(from, "reading schema crossfade",
                      "SELECT bool_and(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')"
                      " AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))"
                      " FROM pg_class c WHERE c.relnamespace = to_regnamespace('crossfade') AND c.relkind = 'r'")
                      .boolean(0, 0);
    if (!made.usable) return made;
    const auto version = ask(from, "reading crossfade.meta", "SELECT version FROM crossfade.meta");
    if (!version.empty()) made.version = static_cast<int>(version.integer(0, 0).value_or(0));
    made.progress = read_progress(from, stream);
    const auto states = ask(from, "reading crossfade.tables",
                            "SELECT table_name, state FROM crossfade.tables WHERE stream = $1", {stream});
    for (int i = 0; i < states.size(); ++i) made.table_states[str(states, i, 0)] = str(states, i, 1);
    return made;
}

role read_role(pgclient::connection& from) {
    const auto found = ask(from, "reading the role", role_sql);
    role made{.name = str(found, 0, 0),
              .superuser = found.boolean(0, 1),
              .replication = found.boolean(0, 2),
              .bypass_row_security = found.boolean(0, 3),
              .create_in_database = found.boolean(0, 4),
              .replica_role = found.boolean(0, 1),
              .origins = found.boolean(0, 5)};
    // GRANT SET ON PARAMETER came with PostgreSQL 15.
    if (!made.replica_role && from.server_version() >= 150000)
        made.replica_role =
            ask(from, "reading the role", "SELECT has_parameter_privilege('session_replication_role', 'SET')")
                .boolean(0, 0);
    return made;
}

ddl_watch read_ddl_watch(pgclient::connection& from, const settings::stream& stream) {
    ddl_watch made;
    made.watches =
        ask(from, "reading event triggers", std::string{store::count_watches_sql()}).integer(0, 0).value_or(0);
    const auto unwatched = ask(from, "reading triggers", store::unwatched_truncates_sql(), {stream.publication()});
    for (int i = 0; i < unwatched.size(); ++i) made.unwatched.push_back(str(unwatched, i, 1));
    const auto readable = ask(from, "reading schema crossfade",
                              "SELECT coalesce(has_table_privilege(c.oid, 'SELECT'), false) FROM pg_class c"
                              " JOIN pg_namespace n ON n.oid = c.relnamespace"
                              " WHERE n.nspname = 'crossfade' AND c.relname = 'ddl_streams'");
    if (readable.empty() || !readable.boolean(0, 0)) return made;
    const auto policy = ask(from, "reading crossfade.ddl_streams",
                            "SELECT policy FROM crossfade.ddl_streams WHERE stream = $1", {stream.name});
    if (!policy.empty()) made.policy = str(policy, 0, 0);
    return made;
}

std::optional<store::authority_row> newest_authority(const std::string& stream, pgclient::connection& legacy,
                                                     pgclient::connection& modern) {
    const auto of_legacy = store::load_authority(legacy, stream);
    if (!of_legacy) throw stop(exit_code::no, "asking legacy: " + to_string(of_legacy.error()));
    const auto of_modern = store::load_authority(modern, stream);
    if (!of_modern) throw stop(exit_code::no, "asking modern: " + to_string(of_modern.error()));
    const auto* newest = store::newer(*of_legacy, *of_modern);
    return newest != nullptr ? std::optional{*newest} : std::nullopt;
}

database read_database(pgclient::connection& from, const settings::stream& stream) {
    database made;
    const auto server = ask(from, "reading the server's facts", server_sql);
    made.version = static_cast<int>(server.integer(0, 0).value_or(0));
    made.version_text = str(server, 0, 1);
    made.system_identifier = str(server, 0, 2);
    made.database_oid = server.integer(0, 3).value_or(0);
    made.name = str(server, 0, 4);
    made.in_recovery = server.boolean(0, 5);
    made.encoding = str(server, 0, 6);
    made.collation = str(server, 0, 7);
    made.slots_used = server.integer(0, 8).value_or(0);
    made.senders_used = server.integer(0, 9).value_or(0);
    made.large_objects = server.integer(0, 10).value_or(0);
    made.current_wal = lsn_at(server, 0, 11);
    made.time_zone = str(server, 0, 12);
    const auto settings = ask(
        from, "reading the server's settings",
        "SELECT name, setting FROM pg_settings WHERE name IN ('wal_level', 'max_replication_slots', 'max_wal_senders',"
        " 'max_slot_wal_keep_size', 'wal_sender_timeout', 'track_commit_timestamp', 'synchronized_standby_slots',"
        " 'idle_replication_slot_timeout', 'max_active_replication_origins')");
    for (int i = 0; i < settings.size(); ++i) made.settings[str(settings, i, 0)] = str(settings, i, 1);
    const auto origins =
        ask(from, "reading replication origins", "SELECT roname FROM pg_replication_origin ORDER BY 1");
    for (int i = 0; i < origins.size(); ++i) made.origins.push_back(str(origins, i, 0));
    made.role = read_role(from);
    made.slot = read_slot(from, stream.slot());
    read_standbys(from, made);
    made.publication = read_publication(from, stream.publication());
    made.store = read_store(from, stream.name);
    made.ddl = read_ddl_watch(from, stream);
    made.tables = read_tables(from, stream.tables);
    made.foreign_keys = read_foreign_keys(from, made.tables);
    auto rights = store::load_rights(from);
    if (!rights) throw stop(exit_code::no, "reading rights: " + to_string(rights.error()));
    made.rights = std::move(*rights);
    const auto sequences = ask(from, "reading sequences",
                               "SELECT schemaname, sequencename, last_value FROM pg_sequences"
                               " WHERE schemaname <> 'crossfade'");
    for (int i = 0; i < sequences.size(); ++i) {
        const model::table_name name = name_at(sequences, i, 0);
        const bool of_interest =
            std::ranges::any_of(made.tables, [&](const table& each) { return each.name.schema == name.schema; });
        if (of_interest) made.sequences[to_string(name)] = sequences.integer(i, 2);
    }
    return made;
}

}  // namespace crossfade::ctl::catalog
