#include "ctl/init/plan.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "ctl/catalog/ties.hpp"
#include "ctl/output/table.hpp"

namespace crossfade::ctl::init {

namespace {

void plan_servers(const situation& found, plan& into) {
    for (const auto& [side, version] :
         {std::pair{found.source, found.source_version}, {found.follower, found.follower_version}})
        if (version < catalog::oldest_server)
            into.objections.push_back(
                {side + " is PostgreSQL " + std::to_string(version / 10000) +
                     ", which can't say or be asked what the stream needs",
                 "PostgreSQL " + std::to_string(catalog::oldest_server / 10000) + " or later on both sides"});
}

void plan_tables(const situation& found, unfit_identity unfit, plan& into) {
    if (found.tables.empty())
        into.objections.push_back(
            {"stream.tables names no table on " + found.source, "correct stream.tables or " + found.source + ".dsn"});
    std::vector<std::string> unlogged;
    std::vector<std::string> refused;
    for (const auto& table : found.tables) {
        if (table.unlogged) unlogged.push_back(to_string(table.name));
        // Their table's own says what is wanted.
        const auto& parts = table.unlike_parts;
        into.replica_identity_full.insert(into.replica_identity_full.end(), parts.begin(), parts.end());
        if (!table.mute()) continue;
        into.replica_identity_full.push_back(table.name);
        refused.push_back(to_string(table.name));
    }
    if (!unlogged.empty())
        into.objections.push_back({"unlogged tables cannot be published: " + output::joined(unlogged),
                                   "ALTER TABLE ... SET LOGGED, or leave them out of stream.tables"});
    if (!refused.empty() && unfit == unfit_identity::refuse)
        into.objections.push_back(
            {"without a replica identity (UPDATE and DELETE would fail once published): " + output::joined(refused),
             "give them primary keys that are not DEFERRABLE, or allow REPLICA IDENTITY FULL: crossfade init "
             "--replica-identity-full"});
}

// After plan_tables.
void plan_ties(const situation& found, unfit_identity unfit, plan& into) {
    if (!found.stream.by_key()) return;
    std::vector<std::string> refused;
    for (const auto& table : catalog::tied_tables(found.tables, found.modern_tables)) {
        if (std::ranges::find(into.replica_identity_full, table.name) != into.replica_identity_full.end()) continue;
        into.replica_identity_full.push_back(table.name);
        refused.push_back(to_string(table));
    }
    if (!refused.empty() && unfit == unfit_identity::refuse)
        into.objections.push_back(
            {"rows that are in several partitions may be in each other's way: " + output::joined(refused),
             "ALTER TABLE ... REPLICA IDENTITY FULL on " + found.source +
                 ", which keeps each of these tables in one partition, or "
                 "allow it: crossfade init --replica-identity-full"});
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

std::optional<objection> object_to_slot(const situation& found) {
    if (!found.slot) return std::nullopt;
    const std::string slot = found.stream.slot();
    if (found.slot->plugin != "pgoutput" || found.slot->database != found.legacy_database)
        return objection{
            "slot " + slot + " is of plugin " + found.slot->plugin + " in database " + found.slot->database,
            "another stream.name, or SELECT pg_drop_replication_slot('" + slot + "');"};
    if (found.slot->wal_status == "lost")
        return objection{"slot " + slot + " is lost: the WAL it needs was removed",
                         "SELECT pg_drop_replication_slot('" + slot + "'); then " + found.begin_anew};
    return std::nullopt;
}

std::optional<objection> object_to_progress(const situation& found) {
    if (!found.progress) return std::nullopt;
    if (found.progress->system_identifier != found.legacy_system_identifier)
        return objection{found.follower + " was fed from another cluster (" + found.progress->system_identifier + ")",
                         "correct " + found.source + ".dsn, or " + found.begin_anew};
    if (!found.slot)
        return objection{
            found.follower + " has progress but " + found.source + " has no slot: what changed since is not kept",
            found.begin_anew};
    return stream::object_to_partitions(found.stream, *found.progress);
}

// A topic that can't be read as the file says.
std::optional<objection> object_to_topic(const situation& found) {
    const int wanted = found.stream.topic_partitions();
    const std::string topic = "topic " + found.stream.topic();
    const std::string anew = found.progress ? ", then " + found.begin_anew : "";
    if (found.topic_partitions != 0 && found.topic_partitions != wanted) {
        const std::string has = topic + " has " + std::to_string(found.topic_partitions) +
                                (found.topic_partitions == 1 ? " partition" : " partitions");
        if (!found.stream.by_key())
            return objection{has + "; commit order needs one", "another stream.name, or delete the topic"};
        return objection{has + ", and stream.partitions says " + std::to_string(wanted) +
                             ": their number decides which one a row's changes are in",
                         found.progress ? "delete the topic" + anew
                                        : "set stream.partitions to " + std::to_string(found.topic_partitions) +
                                              ", or another stream.name, or delete the topic"};
    }
    // One partition may be of either kind.
    for (const auto& tail : found.topic)
        if (tail.ordering && *tail.ordering != found.stream.ordering)
            return objection{topic + " holds events of stream.ordering: " + std::string{to_string(*tail.ordering)} +
                                 ", and the file says " + std::string{to_string(found.stream.ordering)},
                             "set it back, or delete the topic" + anew};
    return std::nullopt;
}

// Where modern is in it.
std::optional<objection> object_to_offsets(const situation& found) {
    const std::string topic = "topic " + found.stream.topic();
    if (!found.progress) {
        if (std::ranges::none_of(found.topic, &stream::topic_tail::ever_written)) return std::nullopt;
        return objection{topic + " holds events, but " + found.follower + " has no progress",
                         "another stream.name, or delete the topic if it is a leftover, or " + found.begin_anew};
    }
    for (const auto& at : found.progress->partitions) {
        const auto high = found.topic.empty() ? 0 : found.topic[static_cast<std::size_t>(at.partition)].high;
        if (at.next_offset <= high) continue;
        return objection{topic + " no longer has offset " + std::to_string(at.next_offset) +
                             (found.stream.by_key() ? " of partition " + std::to_string(at.partition) : "") +
                             ", where " + found.follower + " is",
                         found.begin_anew};
    }
    return std::nullopt;
}

void plan_stream(const situation& found, purpose of, plan& into) {
    const bool begins = of == purpose::begin;
    into.create_slot = !found.slot;
    into.enable_failover = found.slot && found.slot->failover == false;
    into.begin_progress = begins && !found.progress;
    // Each but the first takes for granted what those before it have looked at.
    auto why_not = object_to_slot(found);
    if (!why_not && begins) why_not = object_to_progress(found);
    if (!why_not) why_not = object_to_topic(found);
    if (!why_not && begins) why_not = object_to_offsets(found);
    if (why_not) into.objections.push_back(std::move(*why_not));
}

}  // namespace

plan make_plan(const situation& found, unfit_identity unfit, purpose of) {
    plan made;
    plan_servers(found, made);
    plan_tables(found, unfit, made);
    plan_ties(found, unfit, made);
    plan_publication(found, made);
    plan_stream(found, of, made);
    return made;
}

}  // namespace crossfade::ctl::init
