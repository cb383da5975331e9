#include <charconv>
#include <map>
#include <set>

#include "ctl/backfill/command.hpp"
#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/progress.hpp"
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
    } else if (const auto other = stream::object_to_partitions(of.stream, *store.progress)) {
        into.fail(id, other->what, other->way_out);
    } else {
        into.ok(id, "version " + std::to_string(*store.version) + ", applied up to " +
                        to_string(store.progress->commit_lsn()));
    }

    std::map<std::string, std::vector<std::string>> by_state;
    for (const auto& [table, state] : store.table_states) by_state[state == "new" ? "stale" : state].push_back(table);
    const std::string backfill = of.source == "legacy" ? "crossfade backfill" : "crossfade --back backfill";
    if (const auto& copying = by_state["copying"]; !copying.empty()) {
        into.fail("modern.tables", "an unfinished backfill (or one that runs now): " + listing(copying), backfill);
        return;
    }
    std::vector<std::string> what;
    std::vector<std::string> mend;
    if (const auto& stale = by_state["stale"]; !stale.empty()) {
        what.push_back("changes are missing in " + listing(stale));
        mend.push_back(backfill + " --tables for these");
    }
    if (const auto& live = by_state["backfilling"]; !live.empty()) {
        what.push_back("copied beside the stream, and not whole: " + listing(live));
        mend.emplace_back("crossfade status shows how far they are, and why one stands still");
    }
    if (what.empty()) {
        into.ok("modern.tables", "no unfinished copies");
    } else {
        into.warn("modern.tables", output::joined(what, "; "), output::joined(mend, "; "));
    }
}

void judge_replica_role(const evidence& of, const catalog::database& modern, const std::vector<std::string>& triggers,
                        findings& into) {
    const std::string id = "modern.replica_role";
    if (modern.role.replica_role) {
        into.ok(id, modern.role.name + " may set session_replication_role");
        return;
    }
    const std::string role = model::quote_identifier(modern.role.name);
    const std::string mend = modern.version >= 150000
                                 ? "GRANT SET ON PARAMETER session_replication_role TO " + role + ";"
                                 : "ALTER ROLE " + role + " SUPERUSER;";
    if (of.stream.both_ways) {
        into.fail(id, "not allowed, and stream.both_ways needs it: the fence would refuse what is applied", mend);
    } else if (!triggers.empty()) {
        into.fail(id, "triggers would fire on applied rows: " + listing(triggers), mend);
    } else if (of.stream.by_key()) {
        into.fail(id,
                  "not allowed, and stream.ordering: key needs it: foreign keys point from one partition to another",
                  mend);
    } else {
        into.warn(id, "not allowed: rows are applied under foreign keys, in order, and slower", mend);
    }
}

// Of all streams and others there, of this one's partitions, and of a backfill's connections.
std::size_t count_origins(const settings::stream& stream, const catalog::database& modern) {
    std::set<std::string> names(modern.origins.begin(), modern.origins.end());
    for (int partition = 0; partition < stream.topic_partitions(); ++partition)
        names.insert(store::origin_name(stream.name, store::first_partition + partition));
    for (unsigned writer = 1; writer <= backfill::options{}.parallel; ++writer)
        names.insert(store::origin_name(stream.name, static_cast<int>(writer)));
    return names.size();
}

void judge_origins(const evidence& of, const catalog::database& modern, findings& into) {
    const std::string id = "modern.origins";
    if (!modern.role.origins) {
        const bool needed = of.stream.both_ways;
        into.add({id, needed ? verdict::fail : verdict::warn,
                  std::string{"not allowed: rows applied by Crossfade cannot be told from others"} +
                      (needed ? ", and stream.both_ways needs it, or they would come back" : ""),
                  "GRANT EXECUTE ON FUNCTION pg_replication_origin_create(text), pg_replication_origin_oid(text), "
                  "pg_replication_origin_session_setup(text), pg_replication_origin_session_reset(), "
                  "pg_replication_origin_session_is_setup() TO " +
                      model::quote_identifier(modern.role.name) + ";"});
        return;
    }
    // How many the server keeps track of; a setting of its own since PostgreSQL 18.
    const std::string own = "max_active_replication_origins";
    const std::string setting = modern.setting(own).empty() ? "max_replication_slots" : own;
    const std::string most = modern.setting(setting);
    std::size_t room = 0;
    std::from_chars(most.data(), most.data() + most.size(), room);
    const std::size_t wanted = count_origins(of.stream, modern);
    if (of.stream.by_key() && wanted > room) {
        into.warn(id,
                  setting + " = " + most + ", and " + std::to_string(wanted) +
                      " origins come together (those that are there, one a partition, a backfill's): what is written"
                      " beyond them cannot be told from others' rows, and a backfill fails",
                  "ALTER SYSTEM SET " + setting + " = " + std::to_string(wanted + 4) + "; then restart the server");
    } else {
        into.ok(id, modern.role.name + " may use replication origins");
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

    judge_replica_role(of, modern, ordinary, into);
    if (!firing.empty()) {
        into.fail("modern.triggers", "fire on applied rows (ENABLE ALWAYS or REPLICA): " + listing(firing),
                  "ALTER TABLE ... ENABLE TRIGGER ...; (without ALWAYS), or DISABLE TRIGGER until the cutover");
    } else {
        into.ok("modern.triggers", ordinary.empty() ? "none" : "silent during apply: " + listing(ordinary));
    }

    judge_origins(of, modern, into);
    if (modern.setting("track_commit_timestamp") == "on") {
        into.ok("modern.track_commit_timestamp", "on");
    } else {
        into.warn("modern.track_commit_timestamp",
                  "off: a row changed by hand on " + of.follower + " is seen only where " + of.source +
                      "'s table has REPLICA IDENTITY FULL",
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
