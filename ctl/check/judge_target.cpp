#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::ctl::check {

namespace {

void judge_store(const evidence& of, const catalog::database& modern, findings& into) {
    const std::string id = "modern.store";
    const auto& store = modern.store;
    const std::string role = model::quote_identifier(modern.role.name);
    if (!store.present) {
        if (modern.role.create_in_database) {
            into.warn(id, "schema crossfade does not exist yet", "crossfade init");
        } else {
            into.fail(id, "schema crossfade does not exist, and " + modern.role.name + " may not create it",
                      "GRANT CREATE ON DATABASE " + model::quote_identifier(modern.name) + " TO " + role + ";");
        }
    } else if (!store.usable) {
        into.fail(id, modern.role.name + " may not write to schema crossfade",
                  "GRANT USAGE ON SCHEMA crossfade TO " + role + "; GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO " +
                      role + ";");
    } else if (store.version != store::schema_version) {
        into.fail(id, "schema crossfade is version " + (store.version ? std::to_string(*store.version) : "unknown"),
                  "this command works with version " + std::to_string(store::schema_version) +
                      ": use the same version everywhere, or crossfade init");
    } else if (!store.progress) {
        into.warn(id, "no progress for stream " + of.stream.name, "crossfade init");
    } else {
        into.ok(id, "version " + std::to_string(*store.version) + ", applied up to " +
                        to_string(store.progress->commit_lsn));
    }

    std::vector<std::string> copying;
    std::vector<std::string> stale;
    for (const auto& [table, state] : store.table_states) {
        if (state == "copying") copying.push_back(table);
        if (state == "stale" || state == "new") stale.push_back(table);
    }
    if (!copying.empty()) {
        into.fail("modern.tables", "an unfinished backfill (or one that runs now): " + listing(copying),
                  "crossfade backfill");
    } else if (!stale.empty()) {
        into.warn("modern.tables", "changes are missing in " + listing(stale), "crossfade backfill --tables for these");
    } else {
        into.ok("modern.tables", "no unfinished copies");
    }
}

}  // namespace

void judge_target(const evidence& of, const catalog::database& modern, findings& into) {
    const std::string role = model::quote_identifier(modern.role.name);
    std::vector<std::string> closed;
    std::vector<std::string> secured;
    std::vector<std::string> firing;
    std::vector<std::string> ordinary;
    for (const auto& table : modern.tables) {
        if (!table.writable || !table.readable) closed.push_back(to_string(table.name));
        if (table.row_security) secured.push_back(to_string(table.name));
        for (const auto& trigger : table.firing_triggers) firing.push_back(to_string(table.name) + "." + trigger);
        for (const auto& trigger : table.ordinary_triggers) ordinary.push_back(to_string(table.name) + "." + trigger);
    }
    if (!closed.empty()) {
        into.fail("modern.write_privilege", modern.role.name + " may not write to " + listing(closed),
                  "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON " + listing(closed, 20) + " TO " + role + ";");
    } else {
        into.ok("modern.write_privilege", "all tables can be written");
    }

    if (modern.role.replica_role) {
        into.ok("modern.replica_role", modern.role.name + " may set session_replication_role");
    } else {
        const std::string mend = modern.version >= 150000
                                     ? "GRANT SET ON PARAMETER session_replication_role TO " + role + ";"
                                     : "ALTER ROLE " + role + " SUPERUSER;";
        if (!ordinary.empty()) {
            into.fail("modern.replica_role", "triggers would fire on applied rows: " + listing(ordinary), mend);
        } else {
            into.warn("modern.replica_role", "not allowed: rows are applied under foreign keys, in order, and slower",
                      mend);
        }
    }
    if (!firing.empty()) {
        into.fail("modern.triggers", "fire on applied rows (ENABLE ALWAYS or REPLICA): " + listing(firing),
                  "ALTER TABLE ... ENABLE TRIGGER ...; (without ALWAYS), or DISABLE TRIGGER until the cutover");
    } else {
        into.ok("modern.triggers", ordinary.empty() ? "none" : "silent during apply: " + listing(ordinary));
    }

    if (modern.role.origins) {
        into.ok("modern.origins", modern.role.name + " may use replication origins");
    } else {
        into.warn("modern.origins", "not allowed: rows applied by Crossfade cannot be told from others",
                  "GRANT EXECUTE ON FUNCTION pg_replication_origin_create(text), pg_replication_origin_oid(text), "
                  "pg_replication_origin_session_setup(text), pg_replication_origin_session_reset(), "
                  "pg_replication_origin_session_is_setup() TO " +
                      role + ";");
    }
    if (modern.setting("track_commit_timestamp") == "on") {
        into.ok("modern.track_commit_timestamp", "on");
    } else {
        into.warn("modern.track_commit_timestamp",
                  "off: a row changed by hand on modern is seen only where legacy's table has REPLICA IDENTITY FULL",
                  "ALTER SYSTEM SET track_commit_timestamp = on; then restart the server");
    }
    if (!secured.empty() && !modern.role.bypass_row_security) {
        into.fail("modern.row_security", "rows would be refused or unseen on " + listing(secured),
                  "ALTER ROLE " + role + " BYPASSRLS;");
    } else {
        into.ok("modern.row_security", secured.empty() ? "none" : "bypassed on " + listing(secured));
    }
    judge_store(of, modern, into);
}

}  // namespace crossfade::ctl::check
