#include "proxy/capture/preflight.hpp"

#include "lib/settings/directions.hpp"

namespace crossfade::proxy::capture {

namespace {

setback waiting(std::string reason, std::string way_out) {
    return {publisher_state::waiting, std::move(reason), std::move(way_out)};
}
setback stopped(std::string reason, std::string way_out) {
    return {publisher_state::stopped, std::move(reason), std::move(way_out)};
}

constexpr const char* init = "run `crossfade init`";

std::string begin_anew(const settings::configuration& config) {
    if (config.source != settings::side::legacy) return settings::begin_back_anew(config);
    const auto& stream = config.stream;
    return "drop slot " + stream.slot() + " and topic " + stream.topic() +
           ", then run `crossfade init` and `crossfade backfill --resync`";
}

}  // namespace

std::string slot_query(const settings::stream& stream) {
    return "SELECT s.slot_name IS NOT NULL,"
           " EXISTS (SELECT FROM pg_publication WHERE pubname = " +
           pgclient::quote_literal(stream.publication()) +
           "), coalesce(s.active, false), coalesce(s.database = current_database(), true),"
           " coalesce(s.plugin, ''), coalesce(s.wal_status, ''),"
           // A column that not every version has.
           " coalesce(to_jsonb(s) ->> 'invalidation_reason', ''), pg_is_in_recovery()"
           " FROM (SELECT) one LEFT JOIN pg_replication_slots s ON s.slot_name = " +
           pgclient::quote_literal(stream.slot());
}

std::string completed_query(const settings::configuration& config) {
    return "SELECT to_char(completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"') FROM crossfade.authority"
           " WHERE completed_at IS NOT NULL AND stream = " +
           pgclient::quote_literal(settings::forth_stream(config));
}

setback completed(std::string_view at, const settings::configuration& config) {
    return {publisher_state::completed,
            "the cutover was completed at " + std::string{at} + ": " + std::string{config.follower_name()} +
                " gets nothing any more",
            {}};
}

slot_facts read_slot(const pgclient::rows& answer) {
    slot_facts facts;
    if (answer.size() != 1) return facts;
    facts.slot = answer.boolean(0, 0);
    facts.publication = answer.boolean(0, 1);
    facts.active = answer.boolean(0, 2);
    facts.same_database = answer.boolean(0, 3);
    facts.plugin = answer.text(0, 4);
    facts.wal_status = answer.text(0, 5);
    facts.invalidation = answer.text(0, 6);
    facts.in_recovery = answer.boolean(0, 7);
    return facts;
}

std::optional<setback> judge(const slot_facts& facts, const settings::configuration& config) {
    const auto& stream = config.stream;
    const std::string source{config.source_name()};
    const auto dsn = settings::source_dsn(config);
    if (facts.in_recovery)
        return waiting(dsn + " leads to a standby", "point " + dsn + " at the primary, or promote the standby");
    if (!facts.slot) return waiting(source + " has no replication slot " + stream.slot(), init);
    if (!facts.same_database)
        return waiting("slot " + stream.slot() + " belongs to another database of the cluster",
                       "point " + dsn + " at that database, or choose another stream.name");
    if (facts.plugin != "pgoutput")
        return waiting("slot " + stream.slot() + " has the output plugin '" + facts.plugin + "', not pgoutput",
                       "choose another stream.name, or drop the slot and run `crossfade init`");
    if (facts.wal_status == "lost")
        return stopped("slot " + stream.slot() + " is lost: " + source + " has removed WAL that was not published yet" +
                           (facts.invalidation.empty() ? "" : " (" + facts.invalidation + ")"),
                       begin_anew(config));
    if (!facts.publication) return waiting(source + " has no publication " + stream.publication(), init);
    if (facts.active) return setback{publisher_state::standby, "another publisher holds slot " + stream.slot(), {}};
    return std::nullopt;
}

setback judge(const pgclient::failure& from, const settings::configuration& config) {
    const auto& stream = config.stream;
    const std::string what = std::string{config.source_name()} + ": " + from.message;
    if (from.sqlstate == "55006" /* object_in_use */)
        return {publisher_state::standby, "another publisher holds slot " + stream.slot(), {}};
    if (from.sqlstate == "55000" /* object_not_in_prerequisite_state */)
        return stopped("slot " + stream.slot() + " can't be read: " + from.message, begin_anew(config));
    if (from.sqlstate == "42704" /* undefined_object */) return waiting(what, init);
    if (from.sqlstate == "42501" /* insufficient_privilege */ || from.sqlstate.starts_with("28"))
        return waiting(what, "give the role of " + settings::source_dsn(config) + " LOGIN and REPLICATION");
    return waiting(what, {});
}

namespace {

// One failure doesn't say which topic it was of.
std::string topics(const settings::stream& stream) {
    return "topic " + stream.topic() + (stream.json_events ? " or " + stream.json_topic() : "");
}

}  // namespace

setback judge(const kafka::failure& from, const settings::stream& stream) {
    switch (kafka::cause(from)) {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
            if (from.local)
                return stopped("an event is larger than the proxy's own limit: " + from.message,
                               "raise message.max.bytes in kafka.properties (64 MiB unless it is there) on every proxy "
                               "and crossfade-cdc, and max.message.bytes of " +
                                   topics(stream) + " to 1 MiB more than that, and start them again");
            return stopped("an event is larger than " + topics(stream) + " takes",
                           "raise max.message.bytes of the topic; where kafka.properties sets message.max.bytes, that "
                           "too, and then start the proxy again");
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            return waiting("Kafka has no " + topics(stream), init);
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
            return waiting("Kafka: " + kafka::to_string(from),
                           "allow the user of kafka.properties Describe, Read, Write and IdempotentWrite on the topic");
        default:
            return waiting("Kafka: " + kafka::to_string(from), {});
    }
}

setback judge(const publish::tail_problem& from) {
    if (from.what == publish::tail_problem::kind::unreachable) return waiting(from.reason, from.way_out);
    auto made = stopped(from.reason, from.way_out);
    made.for_the_topic = true;
    return made;
}

std::optional<setback> judge_partitions(int partitions, int wanted, const std::string& topic) {
    if (partitions == 0) return waiting("Kafka has no topic " + topic, init);
    if (partitions == wanted) return std::nullopt;
    const std::string found = "topic " + topic + " has " + std::to_string(partitions) + " partitions";
    if (wanted == 1)
        return waiting(found + ": commit order is kept in one alone", "delete the topic and run `crossfade init`");
    return waiting(found + ", stream.partitions says " + std::to_string(wanted) +
                       ": rows would go to others than their changes before",
                   "set stream.partitions to what the topic was made with; where partitions were added, delete the "
                   "topic, then `crossfade init` and `crossfade backfill --resync`");
}

}  // namespace crossfade::proxy::capture
