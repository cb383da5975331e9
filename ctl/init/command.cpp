#include "ctl/init/command.hpp"

#include <set>

#include "ctl/audit/record.hpp"
#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/flip/prepare.hpp"
#include "ctl/init/install.hpp"
#include "ctl/init/joining.hpp"
#include "ctl/init/publication.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/pattern.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/progress.hpp"
#include "ctl/stream/source.hpp"
#include "ctl/stream/topic.hpp"
#include "lib/kafka/admin.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/settings/directions.hpp"
#include "lib/settings/turned.hpp"
#include "lib/store/authority.hpp"
#include "lib/store/ddl_watch.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::ctl::init {

namespace {

using namespace std::chrono_literals;
using catalog::ask;
using model::quote_identifier;
using model::quoted;

constexpr std::chrono::milliseconds kafka_patience = 10s;

int topic_partitions(const settings::configuration& config, const std::string& topic) {
    const auto described = crossfade::kafka::describe_topic(config.kafka, topic, kafka_patience);
    if (!described)
        throw stop(exit_code::unreachable, "Kafka (" + config.kafka.brokers + "): " + to_string(described.error()));
    return described->partitions;
}

// Legacy need not have what is new on modern.
std::vector<std::string> leave_out_new(situation& found) {
    std::set<model::table_name> there;
    for (const auto& table : found.modern_tables) there.insert(table.name);
    std::vector<std::string> names;
    std::erase_if(found.tables, [&](const catalog::table& table) {
        if (there.contains(table.name)) return false;
        names.push_back(to_string(table.name));
        return true;
    });
    return names;
}

void look(way& at) {
    auto& found = at.found;
    const auto& config = at.config;
    found.stream = config.stream;
    found.source = at.source_name();
    found.follower = at.follower_name();
    found.source_version = at.source.server_version();
    found.follower_version = at.follower.server_version();
    if (at.back()) found.begin_anew = settings::begin_back_anew(config);
    found.legacy_system_identifier = at.identity.system_identifier;
    found.legacy_database =
        std::string{ask(at.source, "asking " + found.source, "SELECT current_database()").text(0, 0)};
    found.tables = catalog::read_tables(at.source, config.stream.tables);
    found.modern_tables = catalog::read_tables(at.follower, config.stream.tables);
    if (at.back()) at.left_out = leave_out_new(found);
    found.publication = catalog::read_publication(at.source, config.stream.publication());
    found.slot = catalog::read_slot(at.source, config.stream.slot());
    found.progress = catalog::read_store(at.follower, config.stream.name).progress;
    found.topic_partitions = topic_partitions(config, config.stream.topic());
    if (found.topic_partitions == config.stream.topic_partitions()) found.topic = stream::read_tails(config);
}

settings::assignment authorities_of(way& at) {
    if (!at.config.stream.both_ways) return {};
    const auto known = catalog::newest_authority(settings::forth_stream(at.config), at.back() ? at.follower : at.source,
                                                 at.back() ? at.source : at.follower);
    return known ? known->authorities : settings::assignment{};
}

// What is applied without these would come back by the other stream, from the moment that has its slot.
std::optional<objection> object_to_role(way& at) {
    if (!at.config.stream.both_ways) return std::nullopt;
    const auto role = catalog::read_role(at.follower);
    if (role.origins && role.replica_role) return std::nullopt;
    return objection{role.name + " may not use replication origins on " + at.follower_name() +
                         ", or may not set session_replication_role there, and stream.both_ways needs both",
                     "crossfade check says what to grant"};
}

// The way back begins with a legacy that has all of modern's rows: only as long as modern has taken none itself.
std::optional<objection> object_to_authority(way& at) {
    if (!at.back() || !at.planned.begin_progress) return std::nullopt;
    const auto known = store::load_authority(at.source, settings::forth_stream(at.config));
    if (!known) throw stop(exit_code::no, "reading who is the authority: " + to_string(known.error()));
    if (!*known || ((*known)->authorities.everything != at.config.source && (*known)->authorities.apart.empty()))
        return std::nullopt;
    return objection{at.source_name() +
                         " is the authority, and what it has taken since the way back ended would never"
                         " be on " +
                         at.follower_name(),
                     "none to go back by; " + at.source_name() + " stays the authority"};
}

way explore(const settings::configuration& config, const options& with, purpose of = purpose::begin) {
    way at{.config = config,
           .source = catalog::connect(config, settings::side::legacy),
           .follower = catalog::connect(config, settings::side::modern),
           .replication = catalog::connect_replication(config, settings::side::legacy),
           .identity = {},
           .authorities = {},
           .found = {},
           .planned = {},
           .left_out = {}};
    at.identity = stream::identify(at.replication);
    at.authorities = authorities_of(at);
    look(at);
    at.planned = make_plan(at.found, with.unfit, of);
    if (auto unfit = object_to_role(at)) at.planned.objections.push_back(std::move(*unfit));
    if (auto unfit = object_to_authority(at)) at.planned.objections.push_back(std::move(*unfit));
    if (auto unfit = object_to_joining(at)) at.planned.objections.push_back(std::move(*unfit));
    return at;
}

void refuse(const std::vector<objection>& objections) {
    std::string what = "nothing was changed";
    std::string way_out;
    for (const auto& each : objections) {
        what += "\n  " + each.what;
        way_out += (way_out.empty() ? "" : "\n  ") + each.way_out;
    }
    throw stop(exit_code::no, what, way_out);
}

void prepare_source(way& at, journal& done) {
    const auto& found = at.found;
    const auto& planned = at.planned;
    auto& source = at.source;
    const std::string doing = "preparing " + at.source_name();
    // An ALTER TABLE that waits for a lock makes everyone behind it wait as well.
    ask(source, doing, "SET lock_timeout = '5s'");
    for (const auto& name : planned.replica_identity_full) {
        // The leaves of a partitioned table each have their own.
        const auto members =
            ask(source, doing,
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE (c.oid = $1::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree($1::regclass)))"
                " AND c.relkind IN ('r', 'p') AND c.relreplident <> 'f'",
                {quoted(name)});
        // It changes no row: nothing is said of it in the stream, and no policy refuses it.
        for (int i = 0; i < members.size(); ++i)
            ask(source, doing + ": " + to_string(name),
                "BEGIN; SET LOCAL crossfade.fencing = 'on'; ALTER TABLE " +
                    quoted(model::table_name{std::string{members.text(i, 0)}, std::string{members.text(i, 1)}}) +
                    " REPLICA IDENTITY FULL; COMMIT");
        done.note("table " + to_string(name) + (at.back() ? " on " + at.source_name() : ""),
                  "REPLICA IDENTITY FULL set");
    }

    const std::string publication = quote_identifier(found.stream.publication());
    std::vector<std::string> targets;
    std::vector<std::string> names;
    for (const auto& table : found.tables) {
        if (std::ranges::find(planned.add_to_publication, table.name) == planned.add_to_publication.end()) continue;
        if (joins_by_itself(at, table)) continue;
        targets.push_back(publication_target(table));
        names.push_back(to_string(table.name));
    }
    const std::string what = "publication " + found.stream.publication();
    if (!at.left_out.empty())
        done.note(what, "without " + output::joined(at.left_out) + ": " + at.follower_name() + " has no such table");
    const std::string options = "(publish = 'insert, update, delete, truncate', publish_via_partition_root = true)";
    if (planned.create_publication) {
        ask(source, what,
            "CREATE PUBLICATION " + publication + " FOR TABLE " + output::joined(targets) + " WITH " + options);
        done.note(what, "created with " + output::joined(names));
        return;
    }
    if (!found.publication->every_operation || !found.publication->via_root) {
        ask(source, what, "ALTER PUBLICATION " + publication + " SET " + options);
        done.note(what, "options set");
    }
    if (!targets.empty())
        ask(source, what, "ALTER PUBLICATION " + publication + " ADD TABLE " + output::joined(targets));
    done.note(what, targets.empty() ? "existed" : "added " + output::joined(names));
    join_way_back(at, done);
}

// Each in a transaction of its own: a trigger waits for those who write to the table, and who comes behind it waits,
// too.
void watch_truncates(way& at, journal& done) {
    const std::string what = "TRUNCATE of partitions on " + at.source_name();
    const auto parts = ask(at.source, what, store::unwatched_truncates_sql(), {at.config.stream.publication()});
    for (int i = 0; i < parts.size(); ++i)
        ask(at.source, what + ": " + std::string{parts.text(i, 1)}, "SELECT crossfade.watch_truncate($1::oid)",
            {std::string{parts.text(i, 0)}});
    if (!parts.empty()) done.note(what, "is noticed: " + std::to_string(parts.size()) + " tables have triggers for it");
}

// After the publication, which says what is watched. Not a condition of the stream: without the right to it DDL is not
// noticed, and all else is as it would be.
void watch_ddl(way& at, journal& done) {
    const auto& stream = at.config.stream;
    auto& source = at.source;
    const std::string what = "DDL on " + at.source_name();
    ask(source, what, "BEGIN; SET LOCAL client_min_messages = warning");
    const auto installed = source.exec(std::string{store::ddl_watch_sql()});
    if (!installed) {
        ask(source, what, "ROLLBACK");
        if (installed.error().sqlstate != "42501")
            throw stop(exit_code::no, what + ": " + to_string(installed.error()));
        const auto watches = ask(source, what, std::string{store::count_watches_sql()}).integer(0, 0);
        done.note(what, watches == store::ddl_watches
                            ? "is noticed; only who has made the event triggers can change the policy"
                            : "is not noticed: event triggers need a superuser on " + at.source_name() + ", and " +
                                  settings::source_dsn(at.config) + "'s role is none");
        return;
    }
    pgwire::array_literal patterns;
    for (const auto& pattern : stream.tables) patterns.add(output::like_of(pattern));
    const auto secret = ask(source, what, std::string{store::watch_stream_sql()},
                            {stream.name, stream.publication(), patterns.take(), std::string{to_string(stream.ddl)}});
    ask(source, what, std::string{store::note_partitions_sql()}, {stream.publication()});
    // What is sealed with it is understood before it is said.
    ask(at.follower, what, std::string{store::keep_seal_sql()}, {stream.name, std::string{secret.text(0, 0)}});
    ask(source, what, "COMMIT");
    done.note(what, "policy " + std::string{to_string(stream.ddl)});
    watch_truncates(at, done);
}

void ensure_topics(const settings::configuration& config, const options& with, journal& done) {
    const auto largest = crossfade::kafka::largest_message_of(config.kafka);
    const std::map<std::string, std::string> events{
        {"cleanup.policy", "delete"},
        // The brokers' own default of 1 MiB is less than many a row; the producer sends no more than this.
        {"max.message.bytes", std::to_string(largest + crossfade::kafka::batch_overhead)},
        {"retention.ms", std::to_string(std::chrono::milliseconds(with.retention).count())}};
    auto compacted = events;
    compacted["cleanup.policy"] = "compact";
    compacted.erase("retention.ms");
    const bool compact = config.stream.json_cleanup == settings::cleanup_policy::compact;
    std::vector<std::string> topics{config.stream.topic(), config.stream.dead_letter_topic()};
    if (config.stream.json_events) topics.push_back(config.stream.json_topic());
    for (const auto& topic : topics) {
        const bool is_compacted = compact && topic == config.stream.json_topic();
        const int wanted = topic == config.stream.topic() ? config.stream.topic_partitions() : 1;
        const int partitions = topic_partitions(config, topic);
        std::string outcome = "existed";
        if (partitions == 0) {
            const auto made = crossfade::kafka::create_topic(config.kafka, topic, wanted, with.replication_factor,
                                                             is_compacted ? compacted : events, kafka_patience);
            if (!made) throw stop(exit_code::no, "creating topic " + topic + ": " + to_string(made.error()));
            if (*made == crossfade::kafka::topic_creation::created)
                outcome = (is_compacted ? "created, compacted"
                                        : "created, retention " + std::to_string(with.retention.count()) + " h") +
                          (wanted > 1 ? ", " + std::to_string(wanted) + " partitions" : "") + ", messages up to " +
                          output::bytes_text(largest);
        } else if (topic == config.stream.json_topic() && partitions != 1) {
            // The plan has seen to the changes', and dead letters may be in any number of them.
            throw stop(exit_code::no,
                       "topic " + topic + " has " + std::to_string(partitions) + " partitions; commit order needs one",
                       "delete the topic");
        }
        done.note("topic " + topic, outcome);
    }
}

void enable_failover(way& at, journal& done) {
    if (!at.planned.enable_failover) return;
    const auto slot = at.config.stream.slot();
    const std::string what = "slot " + slot;
    const auto enabled = stream::enable_failover(at.replication, slot);
    if (enabled) {
        done.note(what, "standbys take it over from now on");
    } else if (enabled.error().sqlstate == "55006") {
        done.note(what, "is read, and so can't be given to standbys: stop the proxies, then crossfade init");
    } else {
        throw stop(exit_code::no, what + ": " + to_string(enabled.error()));
    }
}

void begin_stream(way& at, const options& with, journal& done) {
    const auto& stream = at.config.stream;
    model::lsn position;
    if (at.planned.create_slot) {
        position = stream::create_slot(at.source, stream.slot(), with.slot_timeout);
        done.note("slot " + stream.slot(), "created at " + to_string(position));
    } else {
        position = at.found.slot->confirmed.value_or(model::lsn{});
        done.note("slot " + stream.slot(), "existed, confirmed up to " + to_string(position));
    }
    const std::string progress = "progress of stream " + stream.name;
    if (!at.planned.begin_progress) {
        done.note(progress, "existed, applied up to " + to_string(at.found.progress->commit_lsn()));
        return;
    }
    const int partitions = stream.topic_partitions();
    stream::set_progress(at.follower, stream, at.identity, position,
                         std::vector<std::int64_t>(static_cast<std::size_t>(partitions), 0));
    done.note(progress, "begins at " + to_string(position) +
                            (partitions > 1 ? " in " + std::to_string(partitions) + " partitions" : ""));
}

// The publication has to be there before the slot's first change is decoded, and nothing may lie between the slot and
// the progress: so the slot comes last, and what it keeps from then on is what progress waits for.
void take_steps(way& at, const options& with, journal& done) {
    install_schema(at, done);
    install_audit_at_source(at, done);
    mark_joining(at, done);
    prepare_source(at, done);
    watch_ddl(at, done);
    ensure_topics(at.config, with, done);
    begin_stream(at, with, done);
    enable_failover(at, done);
}

// Each step is in force when it is taken, so that the entry comes behind them all, whatever becomes of the last one.
void carry_out(const context& in, way& at, const options& with, journal& done) {
    const auto first = done.size();
    auto entry = audit::entry(in, "init", at.source_name() + " to " + at.follower_name());
    entry.stream = at.config.stream.name;
    const auto write_down = [&] {
        entry.after_json = boost::json::serialize(boost::json::object{{"steps", done.steps(first)}});
        audit::append(at.follower, entry);
    };
    try {
        take_steps(at, with, done);
    } catch (const stop& why) {
        entry.outcome = std::string{"failed: "} + why.what();
        try {
            write_down();
        } catch (const stop& unwritten) {
            in.notes << unwritten.what() << '\n';
        }
        throw;
    }
    write_down();
}

// Of the cutover; behind it there is no way back to be set up.
std::string completed_at(const settings::configuration& config) {
    if (!config.stream.both_ways) return {};
    auto modern = catalog::connect(config, settings::side::modern);
    const auto known = store::load_authority(modern, config.stream.name);
    if (!known) throw stop(exit_code::no, "reading who is the authority: " + to_string(known.error()));
    return *known ? (*known)->completed_at : std::string{};
}

}  // namespace

exit_code run(const context& in, const options& with) {
    std::vector<way> ways;
    ways.push_back(explore(in.config, with));
    // What is written to modern between its beginning and the other's is Crossfade's own.
    const auto over = completed_at(in.config);
    if (in.config.stream.both_ways && over.empty()) ways.push_back(explore(settings::turned(in.config), with));
    std::vector<objection> objections;
    for (const auto& each : ways)
        objections.insert(objections.end(), each.planned.objections.begin(), each.planned.objections.end());
    if (!objections.empty()) refuse(objections);

    journal done;
    for (auto& each : ways) carry_out(in, each, with, done);
    if (in.config.stream.both_ways) {
        auto legacy = catalog::connect(in.config, settings::side::legacy);
        auto modern = catalog::connect(in.config, settings::side::modern);
        const auto first = done.size();
        for (auto& each : flip::prepare(in.config, legacy, modern)) done.note(each.what, each.outcome);
        auto entry = audit::entry(in, "init", "the authority, and both sides' fences");
        entry.after_json = boost::json::serialize(boost::json::object{{"steps", done.steps(first)}});
        audit::append(modern, entry);
    }
    if (!over.empty()) done.note("way back", "none: the cutover was completed at " + over);
    done.print(in, ways.front().planned.begin_progress);
    return exit_code::fine;
}

void prepare_anew(const context& in, const options& with) {
    auto at = explore(in.config, with, purpose::anew);
    if (!at.planned.objections.empty()) refuse(at.planned.objections);

    journal done;
    install_schema(at, done);
    prepare_source(at, done);
    watch_ddl(at, done);
    ensure_topics(in.config, with, done);
    if (at.planned.create_slot) {
        const auto position = stream::create_slot(at.source, at.found.stream.slot(), with.slot_timeout);
        done.note("slot " + at.found.stream.slot(), "created at " + to_string(position));
    }
    done.remark(in.notes);
}

}  // namespace crossfade::ctl::init
