#include "ctl/stream/topic.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <span>

#include "ctl/exit_code.hpp"
#include "lib/events/codec.hpp"
#include "lib/events/envelope.hpp"
#include "lib/kafka/consumer.hpp"
#include "lib/kafka/producer.hpp"
#include "lib/telemetry/version.hpp"

namespace crossfade::ctl::stream {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds patience = 10s;

template <class T>
T answered(crossfade::kafka::result<T> got, const std::string& doing) {
    if (!got) throw stop(exit_code::unreachable, "Kafka, " + doing + ": " + to_string(got.error()));
    return std::move(*got);
}

// Of the partition that `reader` is turned to.
topic_tail read_tail(crossfade::kafka::partition_reader& reader, const std::string& topic) {
    const auto marks = answered(reader.query_watermarks(patience), "asking for the ends of " + topic);
    topic_tail tail;
    tail.low = marks.low;
    tail.high = marks.high;
    if (marks.high == marks.low) return tail;

    if (const auto sought = reader.seek(marks.high - 1, patience); !sought)
        throw stop(exit_code::unreachable, "Kafka, reading " + topic + ": " + to_string(sought.error()));
    const auto until = clock::now() + patience;
    while (clock::now() < until) {
        for (const auto& message : answered(reader.read(1, 500ms), "reading " + topic)) {
            events::relation_decoder relations;
            const auto event = events::decode(message.payload(), relations);
            if (!event) throw stop(exit_code::no, "the last message of " + topic + " is no event of Crossfade");
            tail.end_lsn = event->last ? event->end_lsn : event->at.commit_lsn;
            tail.ordering =
                event->partition_previous ? settings::event_ordering::key : settings::event_ordering::transaction;
            return tail;
        }
    }
    throw stop(exit_code::unreachable, "Kafka does not hand out the last message of " + topic);
}

model::position position_of(const source_identity& source, model::lsn at) {
    model::position position;
    std::from_chars(source.system_identifier.data(), source.system_identifier.data() + source.system_identifier.size(),
                    position.system_identifier);
    position.timeline = source.timeline;
    position.commit_lsn = at;
    return position;
}

model::source_time now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

struct marker {
    std::string key;
    std::string payload;
    std::span<const crossfade::kafka::producer::header> headers;
};

// To each of so many partitions; until all are acknowledged.
void send(const settings::kafka& config, const std::string& topic, int partitions, const marker& what) {
    const std::string doing = "writing to " + topic;
    auto producer = answered(crossfade::kafka::producer::open(config, static_cast<unsigned>(partitions)), doing);
    for (int partition = 0; partition < partitions; ++partition)
        answered(producer.produce(topic, partition, what.key, what.payload, what.headers,
                                  static_cast<std::uint64_t>(partition)),
                 doing);
    int acknowledged = 0;
    const auto until = clock::now() + patience;
    while (clock::now() < until) {
        for (const auto& delivery : answered(producer.poll(500ms), doing)) {
            if (!delivery.acknowledged) {
                producer.abandon();
                throw stop(exit_code::unreachable, "Kafka, " + doing + ": " + to_string(delivery.error));
            }
            ++acknowledged;
        }
        if (acknowledged == partitions) return;
    }
    producer.abandon();
    throw stop(exit_code::unreachable, "Kafka, " + doing + ": no acknowledgement");
}

}  // namespace

std::vector<topic_tail> read_tails(const settings::configuration& config) {
    const std::string topic = config.stream.topic();
    auto reader =
        answered(crossfade::kafka::partition_reader::open(config.kafka, topic, 0, "crossfade-ctl"), "reading " + topic);
    std::vector<topic_tail> tails;
    for (int partition = 0; partition < config.stream.topic_partitions(); ++partition) {
        reader.turn_to(partition);
        tails.push_back(read_tail(reader, topic));
    }
    return tails;
}

void place_marker(const settings::configuration& config, const source_identity& source, model::lsn at) {
    model::change_event event;
    event.at = position_of(source, at);
    event.publisher = model::resync_publisher;
    event.previous = model::lsn{};
    // Nothing has to have been there before.
    if (config.stream.by_key()) event.partition_previous = model::place{};
    event.last = true;
    event.end_lsn = at;
    event.commit_time = now();
    event.body = model::heartbeat{event.commit_time};

    events::relation_encoder relations;
    const std::string position = to_string(event.at);
    const std::array<crossfade::kafka::producer::header, 2> headers{
        {{"crossfade-position", position}, {"crossfade-schema", events::schema_version}}};
    send(config.kafka, config.stream.topic(), config.stream.topic_partitions(),
         {std::string{events::message_key(event)}, events::encode(event, relations), headers});
}

void tell_json_readers(const settings::configuration& config, const source_identity& source, model::lsn at) {
    model::change_event event;
    event.at = position_of(source, at);
    event.commit_time = now();
    event.body = model::logical_message{std::string{events::resync_prefix}, {}};
    const events::envelope_source from{
        std::string{telemetry::version}, "crossfade." + config.stream.name, config.legacy.dbname,
        config.stream.json_cleanup == settings::cleanup_policy::compact ? events::envelope_keys::compactable
                                                                        : events::envelope_keys::of_rows};
    const std::string position = to_string(event.at);
    const std::array<crossfade::kafka::producer::header, 3> headers{
        {{"crossfade-schema", events::envelope_version}, {"crossfade-position", position}, {"crossfade-table", ""}}};
    for (auto& each : events::envelopes(event, from, std::chrono::floor<std::chrono::milliseconds>(event.commit_time)))
        send(config.kafka, config.stream.json_topic(), 1, {std::move(each.key), std::move(each.value), headers});
}

}  // namespace crossfade::ctl::stream
