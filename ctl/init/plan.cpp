#include "ctl/init/plan.hpp"

#include <set>

#include "ctl/output/table.hpp"

namespace crossfade::ctl::init {

namespace {

using catalog::replica_identity;

// PostgreSQL refuses UPDATE and DELETE on a published table of this kind: the application would fail.
bool mute(const catalog::table& table) {
    return table.identity == replica_identity::nothing ||
           (table.identity == replica_identity::key && table.key.empty());
}

void plan_tables(const situation& found, keyless_tables keyless, plan& into) {
    if (found.tables.empty())
        into.objections.push_back({"stream.tables names no table on legacy", "correct stream.tables or legacy.dsn"});
    std::vector<std::string> unlogged;
    std::vector<std::string> refused;
    for (const auto& table : found.tables) {
        if (table.unlogged) unlogged.push_back(to_string(table.name));
        if (!mute(table)) continue;
        into.replica_identity_full.push_back(table.name);
        refused.push_back(to_string(table.name));
    }
    if (!unlogged.empty())
        into.objections.push_back({"unlogged tables cannot be published: " + output::joined(unlogged),
                                   "ALTER TABLE ... SET LOGGED, or leave them out of stream.tables"});
    if (!refused.empty() && keyless == keyless_tables::refuse)
        into.objections.push_back(
            {"without a replica identity (UPDATE and DELETE would fail once published): " + output::joined(refused),
             "give them primary keys, or allow REPLICA IDENTITY FULL: crossfade init "
             "--replica-identity-full"});
}

void plan_publication(const situation& found, plan& into) {
    into.create_publication = !found.publication;
    if (found.publication && found.publication->filtered)
        into.objections.push_back(
            {"publication " + found.stream.publication() + " has row filters or column lists",
             "DROP PUBLICATION " + model::quote_identifier(found.stream.publication()) + "; and again"});
    std::set<model::table_name> published;
    if (found.publication) published.insert(found.publication->tables.begin(), found.publication->tables.end());
    for (const auto& table : found.tables)
        if (!(found.publication && found.publication->all_tables) && !published.contains(table.name))
            into.add_to_publication.push_back(table.name);
}

void plan_stream(const situation& found, purpose of, plan& into) {
    const std::string resync = "crossfade backfill --resync, which copies every table and starts the stream anew";
    const std::string slot = found.stream.slot();
    if (found.slot && (found.slot->plugin != "pgoutput" || found.slot->database != found.legacy_database)) {
        into.objections.push_back(
            {"slot " + slot + " is of plugin " + found.slot->plugin + " in database " + found.slot->database,
             "another stream.name, or SELECT pg_drop_replication_slot('" + slot + "');"});
        return;
    }
    if (found.slot && found.slot->wal_status == "lost") {
        into.objections.push_back({"slot " + slot + " is lost: the WAL it needs was removed",
                                   "SELECT pg_drop_replication_slot('" + slot + "'); then " + resync});
        return;
    }
    into.create_slot = !found.slot;
    into.enable_failover = found.slot && found.slot->failover == false;
    if (of == purpose::anew) return;
    if (found.progress && found.progress->system_identifier != found.legacy_system_identifier) {
        into.objections.push_back({"modern was fed from another cluster (" + found.progress->system_identifier + ")",
                                   "correct legacy.dsn, or " + resync});
        return;
    }
    if (found.progress && !found.slot) {
        into.objections.push_back(
            {"modern has progress but legacy has no slot: what changed since is not kept", resync});
        return;
    }
    if (found.progress && found.progress->next_offset > (found.topic ? found.topic->high : 0)) {
        into.objections.push_back({"topic " + found.stream.topic() + " no longer has offset " +
                                       std::to_string(found.progress->next_offset) + ", where modern is",
                                   resync});
        return;
    }
    into.begin_progress = !found.progress;
    if (found.progress || !found.topic || !found.topic->ever_written()) return;

    into.objections.push_back({"topic " + found.stream.topic() + " holds events, but modern has no progress",
                               "another stream.name, or delete the topic if it is a leftover, or " + resync});
}

}  // namespace

plan make_plan(const situation& found, keyless_tables keyless, purpose of) {
    plan made;
    plan_tables(found, keyless, made);
    plan_publication(found, made);
    plan_stream(found, of, made);
    return made;
}

}  // namespace crossfade::ctl::init
