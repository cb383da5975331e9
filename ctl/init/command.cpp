#include "ctl/init/command.hpp"

#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/pattern.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/progress.hpp"
#include "ctl/stream/source.hpp"
#include "ctl/stream/topic.hpp"
#include "lib/kafka/admin.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/store/ddl_watch.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::ctl::init {

namespace {

using namespace std::chrono_literals;
using catalog::ask;
using model::quote_identifier;
using model::quoted;

constexpr std::chrono::milliseconds kafka_patience = 10s;

// What was done, in order.
class journal {
  public:
    void note(std::string what, std::string outcome) { entries_.push_back({std::move(what), std::move(outcome)}); }

    void print(const context& in, bool fresh) const {
        const std::string next = fresh ? "copy what is there already: crossfade backfill" : "crossfade status";
        if (in.json()) {
            boost::json::array steps;
            for (const auto& each : entries_) steps.push_back({{"what", each.what}, {"outcome", each.outcome}});
            in.out << output::pretty({{"steps", steps}, {"next", next}});
            return;
        }
        output::table table({{"what"}, {"outcome"}});
        for (const auto& each : entries_) table.add({each.what, each.outcome});
        in.out << table.render() << "\nready; next: " << next << '\n';
    }

    void remark(std::ostream& notes) const {
        for (const auto& each : entries_) notes << each.what << ": " << each.outcome << '\n';
    }

  private:
    struct entry {
        std::string what;
        std::string outcome;
    };
    std::vector<entry> entries_;
};

int topic_partitions(const settings::configuration& config, const std::string& topic) {
    const auto described = crossfade::kafka::describe_topic(config.kafka, topic, kafka_patience);
    if (!described)
        throw stop(exit_code::unreachable, "Kafka (" + config.kafka.brokers + "): " + to_string(described.error()));
    return described->partitions;
}

situation look(const settings::configuration& config, pgclient::connection& legacy, pgclient::connection& modern,
               const stream::source_identity& source) {
    situation found;
    found.stream = config.stream;
    found.legacy_system_identifier = source.system_identifier;
    found.legacy_database = std::string{ask(legacy, "asking legacy", "SELECT current_database()").text(0, 0)};
    found.tables = catalog::read_tables(legacy, config.stream.tables);
    found.modern_tables = catalog::read_tables(modern, config.stream.tables);
    found.publication = catalog::read_publication(legacy, config.stream.publication());
    found.slot = catalog::read_slot(legacy, config.stream.slot());
    found.progress = catalog::read_store(modern, config.stream.name).progress;
    found.topic_partitions = topic_partitions(config, config.stream.topic());
    if (found.topic_partitions == config.stream.topic_partitions()) found.topic = stream::read_tails(config);
    return found;
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

void install_schema(pgclient::connection& modern, journal& done) {
    const bool existed =
        !ask(modern, "asking modern", "SELECT 1 FROM pg_namespace WHERE nspname = 'crossfade'").empty();
    ask(modern, "creating schema crossfade", "SET client_min_messages = warning");
    ask(modern, "creating schema crossfade", "BEGIN; " + std::string{store::schema_sql()} + "; COMMIT");
    done.note("schema crossfade on modern", existed ? "existed" : "created");
}

std::string publication_target(const catalog::table& table) {
    return (table.kind == catalog::table_kind::plain ? "ONLY " : "") + quoted(table.name);
}

void prepare_legacy(const situation& found, const plan& planned, pgclient::connection& legacy, journal& done) {
    const std::string doing = "preparing legacy";
    // An ALTER TABLE that waits for a lock makes everyone behind it wait as well.
    ask(legacy, doing, "SET lock_timeout = '5s'");
    for (const auto& name : planned.replica_identity_full) {
        // The leaves of a partitioned table each have their own.
        const auto members =
            ask(legacy, doing,
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE c.oid = $1::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree($1::regclass))",
                {quoted(name)});
        for (int i = 0; i < members.size(); ++i)
            ask(legacy, doing + ": " + to_string(name),
                "ALTER TABLE " +
                    quoted(model::table_name{std::string{members.text(i, 0)}, std::string{members.text(i, 1)}}) +
                    " REPLICA IDENTITY FULL");
        done.note("table " + to_string(name), "REPLICA IDENTITY FULL set");
    }

    const std::string publication = quote_identifier(found.stream.publication());
    std::vector<std::string> targets;
    std::vector<std::string> names;
    for (const auto& table : found.tables) {
        if (std::ranges::find(planned.add_to_publication, table.name) == planned.add_to_publication.end()) continue;
        targets.push_back(publication_target(table));
        names.push_back(to_string(table.name));
    }
    const std::string what = "publication " + found.stream.publication();
    const std::string options = "(publish = 'insert, update, delete, truncate', publish_via_partition_root = true)";
    if (planned.create_publication) {
        ask(legacy, what,
            "CREATE PUBLICATION " + publication + " FOR TABLE " + output::joined(targets) + " WITH " + options);
        done.note(what, "created with " + output::joined(names));
        return;
    }
    if (!found.publication->every_operation || !found.publication->via_root) {
        ask(legacy, what, "ALTER PUBLICATION " + publication + " SET " + options);
        done.note(what, "options set");
    }
    if (!targets.empty())
        ask(legacy, what, "ALTER PUBLICATION " + publication + " ADD TABLE " + output::joined(targets));
    done.note(what, targets.empty() ? "existed" : "added " + output::joined(names));
}

// After the publication, which says what is watched. Not a condition of the stream: without the right to it DDL is not
// noticed, and all else is as it would be.
void watch_ddl(const situation& found, pgclient::connection& legacy, pgclient::connection& modern, journal& done) {
    const std::string what = "DDL on legacy";
    ask(legacy, what, "BEGIN; SET LOCAL client_min_messages = warning");
    const auto installed = legacy.exec(std::string{store::ddl_watch_sql()});
    if (!installed) {
        ask(legacy, what, "ROLLBACK");
        if (installed.error().sqlstate != "42501")
            throw stop(exit_code::no, what + ": " + to_string(installed.error()));
        const auto watches = ask(legacy, what, std::string{store::count_watches_sql()}).integer(0, 0);
        done.note(what,
                  watches == store::ddl_watches
                      ? "is noticed; only who has made the event triggers can change the policy"
                      : "is not noticed: event triggers need a superuser on legacy, and legacy.dsn's role is none");
        return;
    }
    pgwire::array_literal patterns;
    for (const auto& pattern : found.stream.tables) patterns.add(output::like_of(pattern));
    const auto secret =
        ask(legacy, what, std::string{store::watch_stream_sql()},
            {found.stream.name, found.stream.publication(), patterns.take(), std::string{to_string(found.stream.ddl)}});
    ask(legacy, what, std::string{store::note_partitions_sql()}, {found.stream.publication()});
    // What is sealed with it is understood before it is said.
    ask(modern, what, std::string{store::keep_seal_sql()}, {found.stream.name, std::string{secret.text(0, 0)}});
    ask(legacy, what, "COMMIT");
    done.note(what, "policy " + std::string{to_string(found.stream.ddl)});
}

// Rows that are in a new table already, and those of transactions that run while it is added, are not in the stream.
// Before it is added: no change of it is to find a follower that has not got its row.
void mark_new(const situation& found, const plan& planned, pgclient::connection& legacy, pgclient::connection& modern,
              journal& done) {
    if (planned.create_publication || planned.add_to_publication.empty() || !found.progress) return;
    const auto now = ask(legacy, "asking legacy", "SELECT pg_current_wal_lsn()::text");
    for (const auto& table : planned.add_to_publication) {
        stream::mark_new(modern, found.stream, table, std::string{now.text(0, 0)});
        done.note("table " + to_string(table), "new in the stream; crossfade backfill --tables " + to_string(table));
    }
}

void ensure_topics(const settings::configuration& config, const options& with, journal& done) {
    const std::map<std::string, std::string> events{
        {"cleanup.policy", "delete"},
        // The brokers' own default of 1 MiB is less than many a row; the producer sends no more than this.
        {"max.message.bytes", std::to_string(crossfade::kafka::largest_batch)},
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
                          output::bytes_text(crossfade::kafka::largest_message);
        } else if (topic == config.stream.json_topic() && partitions != 1) {
            // The plan has seen to the changes', and dead letters may be in any number of them.
            throw stop(exit_code::no,
                       "topic " + topic + " has " + std::to_string(partitions) + " partitions; commit order needs one",
                       "delete the topic");
        }
        done.note("topic " + topic, outcome);
    }
}

void enable_failover(const situation& found, const plan& planned, pgclient::connection& replication, journal& done) {
    if (!planned.enable_failover) return;
    const std::string what = "slot " + found.stream.slot();
    const auto enabled = stream::enable_failover(replication, found.stream.slot());
    if (enabled) {
        done.note(what, "standbys take it over from now on");
    } else if (enabled.error().sqlstate == "55006") {
        done.note(what, "is read, and so can't be given to standbys: stop the proxies, then crossfade init");
    } else {
        throw stop(exit_code::no, what + ": " + to_string(enabled.error()));
    }
}

void begin_stream(const options& with, const situation& found, const plan& planned,
                  const stream::source_identity& source, pgclient::connection& legacy, pgclient::connection& modern,
                  journal& done) {
    model::lsn at;
    if (planned.create_slot) {
        at = stream::create_slot(legacy, found.stream.slot(), with.slot_timeout);
        done.note("slot " + found.stream.slot(), "created at " + to_string(at));
    } else {
        at = found.slot->confirmed.value_or(model::lsn{});
        done.note("slot " + found.stream.slot(), "existed, confirmed up to " + to_string(at));
    }
    if (!planned.begin_progress) {
        done.note("progress of stream " + found.stream.name,
                  "existed, applied up to " + to_string(found.progress->commit_lsn()));
        return;
    }
    const int partitions = found.stream.topic_partitions();
    stream::set_progress(modern, found.stream, source, at,
                         std::vector<std::int64_t>(static_cast<std::size_t>(partitions), 0));
    done.note(
        "progress of stream " + found.stream.name,
        "begins at " + to_string(at) + (partitions > 1 ? " in " + std::to_string(partitions) + " partitions" : ""));
}

}  // namespace

exit_code run(const context& in, const options& with) {
    auto legacy = catalog::connect(in.config, settings::side::legacy);
    auto modern = catalog::connect(in.config, settings::side::modern);
    auto replication = catalog::connect_replication(in.config, settings::side::legacy);
    const auto source = stream::identify(replication);

    const auto found = look(in.config, legacy, modern, source);
    const auto planned = make_plan(found, with.unfit);
    if (!planned.objections.empty()) refuse(planned.objections);

    // The publication has to be there before the slot's first change is decoded, and nothing may lie between the slot
    // and the progress: so the slot comes last, and what it keeps from then on is what progress waits for.
    journal done;
    install_schema(modern, done);
    mark_new(found, planned, legacy, modern, done);
    prepare_legacy(found, planned, legacy, done);
    watch_ddl(found, legacy, modern, done);
    ensure_topics(in.config, with, done);
    begin_stream(with, found, planned, source, legacy, modern, done);
    enable_failover(found, planned, replication, done);
    done.print(in, planned.begin_progress);
    return exit_code::fine;
}

void prepare_anew(const context& in, const options& with) {
    auto legacy = catalog::connect(in.config, settings::side::legacy);
    auto modern = catalog::connect(in.config, settings::side::modern);
    auto replication = catalog::connect_replication(in.config, settings::side::legacy);
    const auto found = look(in.config, legacy, modern, stream::identify(replication));
    const auto planned = make_plan(found, with.unfit, purpose::anew);
    if (!planned.objections.empty()) refuse(planned.objections);

    journal done;
    install_schema(modern, done);
    prepare_legacy(found, planned, legacy, done);
    watch_ddl(found, legacy, modern, done);
    ensure_topics(in.config, with, done);
    if (planned.create_slot) {
        const auto at = stream::create_slot(legacy, found.stream.slot(), with.slot_timeout);
        done.note("slot " + found.stream.slot(), "created at " + to_string(at));
    }
    done.remark(in.notes);
}

}  // namespace crossfade::ctl::init
