#include <algorithm>
#include <charconv>
#include <set>

#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"
#include "ctl/output/table.hpp"

namespace crossfade::ctl::check {

namespace {

long number(const std::string& text) {
    long value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

template <class Predicate>
std::vector<std::string> names_of(const std::vector<catalog::table>& tables, Predicate predicate) {
    std::vector<std::string> names;
    for (const auto& table : tables)
        if (predicate(table)) names.push_back(to_string(table.name));
    return names;
}

void judge_settings(const catalog::database& legacy, findings& into) {
    const std::string level = legacy.setting("wal_level");
    if (level == "logical") {
        into.ok("legacy.wal_level", level);
    } else {
        into.fail("legacy.wal_level", level, "ALTER SYSTEM SET wal_level = 'logical'; then restart the server");
    }

    // One for the stream, one for the temporary slot of a backfill.
    const long wanted = legacy.slot ? 1 : 2;
    const auto room = [&](const std::string& id, const std::string& setting, long used) {
        const long most = number(legacy.setting(setting));
        const std::string found = std::to_string(used) + " of " + std::to_string(most) + " used";
        const std::string mend =
            "ALTER SYSTEM SET " + setting + " = " + std::to_string(used + wanted + 4) + "; then restart the server";
        if (most - used >= wanted) {
            into.ok(id, found);
        } else if (legacy.slot) {
            into.warn(id, found + ": a backfill needs one more", mend);
        } else {
            into.fail(id, found, mend);
        }
    };
    room("legacy.replication_slots", "max_replication_slots", legacy.slots_used);
    room("legacy.wal_senders", "max_wal_senders", legacy.senders_used);

    const long budget = number(legacy.setting("max_slot_wal_keep_size"));
    if (budget < 0) {
        into.warn(
            "legacy.wal_budget",
            "max_slot_wal_keep_size = -1: a stream that stands still keeps WAL until the disk is full",
            "ALTER SYSTEM SET max_slot_wal_keep_size = '100GB'; SELECT pg_reload_conf(); (what the disk can spare;"
            " beyond it the slot is lost and `crossfade backfill --resync` is needed)");
    } else {
        into.ok("legacy.wal_budget", "max_slot_wal_keep_size = " + std::to_string(budget) + " MB");
    }
    const long idle = number(legacy.setting("idle_replication_slot_timeout"));
    if (idle > 0) {
        into.warn("legacy.slot_timeout",
                  "idle_replication_slot_timeout = " + std::to_string(idle) +
                      " s: a stream that nobody publishes for so long loses its slot",
                  "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();");
    } else {
        into.ok("legacy.slot_timeout", "none");
    }
    const long timeout = number(legacy.setting("wal_sender_timeout"));
    if (timeout != 0 && timeout < 10000) {
        into.warn("legacy.wal_sender_timeout", std::to_string(timeout) + " ms: a busy publisher may be cut off",
                  "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();");
    } else {
        into.ok("legacy.wal_sender_timeout", timeout == 0 ? "off" : std::to_string(timeout) + " ms");
    }

    if (legacy.role.replication) {
        into.ok("legacy.replication_privilege", legacy.role.name + " may replicate");
    } else {
        into.fail("legacy.replication_privilege", legacy.role.name + " has no REPLICATION",
                  "ALTER ROLE " + model::quote_identifier(legacy.role.name) + " REPLICATION;");
    }
}

void judge_slot(const evidence& of, const catalog::database& legacy, findings& into) {
    const std::string id = "legacy.slot";
    const std::string name = of.stream.slot();
    if (!legacy.slot) {
        into.warn(id, name + " does not exist yet", "crossfade init");
        return;
    }
    const auto& slot = *legacy.slot;
    const std::string lost =
        "the changes since then are gone: SELECT pg_drop_replication_slot('" + name + "'); then " + of.begin_anew;
    if (slot.plugin != "pgoutput" || slot.database != legacy.name) {
        into.fail(id, name + " is of plugin " + slot.plugin + " in database " + slot.database,
                  "another stream.name, or SELECT pg_drop_replication_slot('" + name + "'); and crossfade init");
    } else if (slot.wal_status == "lost") {
        into.fail(id,
                  name + " is lost: the WAL it needs was removed" +
                      (slot.invalidation.empty() ? "" : " (" + slot.invalidation + ")"),
                  lost);
    } else if (slot.wal_status == "unreserved") {
        into.warn(id,
                  name + " is about to be lost: " +
                      output::bytes_text(static_cast<std::uint64_t>(slot.retained_bytes)) + " of WAL kept",
                  "raise max_slot_wal_keep_size and see that a publisher runs (crossfade status)");
    } else {
        into.ok(id, name + (slot.active ? ", in use, " : ", idle, ") +
                        output::bytes_text(static_cast<std::uint64_t>(std::max<std::int64_t>(slot.retained_bytes, 0))) +
                        " of WAL kept");
    }
}

void judge_publication(const evidence& of, const catalog::database& legacy, findings& into) {
    const std::string id = "legacy.publication";
    const std::string name = of.stream.publication();
    if (!legacy.publication) {
        into.warn(id, name + " does not exist yet", "crossfade init");
        return;
    }
    const auto& publication = *legacy.publication;
    if (publication.filtered) {
        into.fail(id, name + " has row filters or column lists: rows would be missing without a trace",
                  "DROP PUBLICATION " + model::quote_identifier(name) + "; then crossfade init");
        return;
    }
    if (!publication.every_operation || !publication.via_root) {
        into.fail(id, name + " leaves out operations or publishes partitions by their own names",
                  "ALTER PUBLICATION " + model::quote_identifier(name) +
                      " SET (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);");
        return;
    }
    const std::set<model::table_name> published(publication.tables.begin(), publication.tables.end());
    const auto missing = names_of(
        legacy.tables, [&](const auto& table) { return !publication.all_tables && !published.contains(table.name); });
    std::vector<std::string> surplus;
    for (const auto& table : publication.tables)
        if (legacy.find(table) == nullptr) surplus.push_back(to_string(table));
    if (!missing.empty()) {
        into.fail(id, "not in " + name + ": " + listing(missing),
                  "crossfade init, then crossfade backfill --tables for these");
    } else if (!surplus.empty()) {
        into.warn(
            id, name + " has tables that stream.tables does not name: " + listing(surplus),
            "add them to stream.tables, or ALTER PUBLICATION " + model::quote_identifier(name) + " DROP TABLE ...;");
    } else {
        into.ok(id, name + ", " + std::to_string(publication.tables.size()) + " tables");
    }
}

void judge_tables(const evidence& of, const catalog::database& legacy, findings& into) {
    if (legacy.tables.empty()) {
        into.fail("legacy.tables", "stream.tables (" + output::joined(of.stream.tables) + ") names no table",
                  "correct stream.tables or " + of.source + ".dsn");
        return;
    }
    into.ok("legacy.tables", std::to_string(legacy.tables.size()) + " tables");

    const auto foreign = names_of(legacy.tables, [](const auto& table) { return !table.owned; });
    if (!legacy.publication && !legacy.role.create_in_database) {
        into.fail("legacy.publication_privilege", legacy.role.name + " may not create a publication",
                  "GRANT CREATE ON DATABASE " + model::quote_identifier(legacy.name) + " TO " +
                      model::quote_identifier(legacy.role.name) + ";");
    } else if (!foreign.empty() && !legacy.role.superuser) {
        into.fail("legacy.publication_privilege", legacy.role.name + " does not own " + listing(foreign),
                  "GRANT <owner> TO " + model::quote_identifier(legacy.role.name) + "; for each owner of these tables");
    } else {
        into.ok("legacy.publication_privilege", legacy.role.name + " may publish these tables");
    }
    const auto unreadable = names_of(legacy.tables, [](const auto& table) { return !table.readable; });
    if (!unreadable.empty()) {
        into.fail(
            "legacy.select_privilege", "a backfill may not read " + listing(unreadable),
            "GRANT SELECT ON " + listing(unreadable, 20) + " TO " + model::quote_identifier(legacy.role.name) + ";");
    } else {
        into.ok("legacy.select_privilege", "all tables can be read");
    }

    const auto mute = names_of(legacy.tables, [](const auto& table) { return table.mute(); });
    const auto keyless = names_of(legacy.tables, [](const auto& table) { return table.key.empty(); });
    if (!mute.empty()) {
        into.fail(
            "legacy.replica_identity",
            "UPDATE and DELETE would be refused once published, for want of a replica identity: " + listing(mute),
            "a primary key that is not DEFERRABLE, or crossfade init --replica-identity-full, which does: " +
                statements(mute, [](const auto& name) { return "ALTER TABLE " + name + " REPLICA IDENTITY FULL;"; }));
    } else if (!keyless.empty()) {
        into.warn("legacy.replica_identity",
                  "without a primary key (rows are found by all their values, slowly): " + listing(keyless),
                  "ALTER TABLE ... ADD PRIMARY KEY (...); where the table has one in truth");
    } else {
        into.ok("legacy.replica_identity", "every table has a primary key");
    }

    const auto unlogged = names_of(legacy.tables, [](const auto& table) { return table.unlogged; });
    if (!unlogged.empty()) {
        into.fail("legacy.unlogged", "unlogged tables write no WAL and cannot be captured: " + listing(unlogged),
                  statements(unlogged, [](const auto& name) { return "ALTER TABLE " + name + " SET LOGGED;"; }) +
                      " or leave them out of stream.tables");
    } else {
        into.ok("legacy.unlogged", "none");
    }
    if (legacy.large_objects > 0) {
        into.warn("legacy.large_objects",
                  std::to_string(legacy.large_objects) + " large objects: logical decoding does not carry them",
                  "move them to a bytea column, or copy them by hand at the cutover");
    } else {
        into.ok("legacy.large_objects", "none");
    }
    const auto secured = names_of(legacy.tables, [](const auto& table) { return table.row_security; });
    if (!secured.empty() && !legacy.role.bypass_row_security) {
        into.fail("legacy.row_security", "a backfill would see only a part of " + listing(secured),
                  "ALTER ROLE " + model::quote_identifier(legacy.role.name) + " BYPASSRLS;");
    } else {
        into.ok("legacy.row_security", secured.empty() ? "none" : "bypassed on " + listing(secured));
    }
}

void judge_foreign_keys(const evidence& of, const catalog::database& legacy, findings& into) {
    std::vector<std::string> leaving;
    std::vector<std::string> crossing;
    for (const auto& key : legacy.foreign_keys) {
        const bool from_in = legacy.find(key.from) != nullptr;
        const bool to_in = legacy.find(key.to) != nullptr;
        const std::string text = to_string(key.from) + " -> " + to_string(key.to);
        if (from_in != to_in) leaving.push_back(text);
        if (from_in && to_in && of.flags.group_of(key.from) != of.flags.group_of(key.to)) crossing.push_back(text);
    }
    if (!leaving.empty()) {
        into.warn("legacy.foreign_keys", "one end is not captured: " + listing(leaving),
                  "add the other tables to stream.tables: foreign keys across the edge cannot hold on " + of.follower);
    } else if (!crossing.empty()) {
        into.warn("legacy.foreign_keys", "leave their table group: " + listing(crossing),
                  "put both tables into one group under groups: a group changes hands as a whole");
    } else {
        into.ok("legacy.foreign_keys", "closed");
    }
}

}  // namespace

void judge_source(const evidence& of, const catalog::database& legacy, findings& into) {
    judge_settings(legacy, into);
    judge_tables(of, legacy, into);
    judge_foreign_keys(of, legacy, into);
    judge_publication(of, legacy, into);
    judge_slot(of, legacy, into);
    judge_failover(of, legacy, into);
}

}  // namespace crossfade::ctl::check
