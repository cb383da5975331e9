#include "ctl/stream/topic.hpp"

#include <array>
#include <charconv>
#include <chrono>

#include "ctl/exit_code.hpp"
#include "lib/events/codec.hpp"
#include "lib/kafka/consumer.hpp"
#include "lib/kafka/producer.hpp"

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
    std::from_chars(source.system_identifier.data(), source.system_identifier.data() + source.system_identifier.size(),
                    event.at.system_identifier);
    event.at.timeline = source.timeline;
    event.at.commit_lsn = at;
    event.publisher = model::resync_publisher;
    event.previous = model::lsn{};
    // Nothing has to have been there before.
    if (config.stream.by_key()) event.partition_previous = model::place{};
    event.last = true;
    event.end_lsn = at;
    event.commit_time = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    event.body = model::heartbeat{event.commit_time};

    const std::string doing = "writing to " + config.stream.topic();
    const int partitions = config.stream.topic_partitions();
    auto producer = answered(crossfade::kafka::producer::open(config.kafka, static_cast<unsigned>(partitions)), doing);
    events::relation_encoder relations;
    const std::string position = to_string(event.at);
    const std::array<crossfade::kafka::producer::header, 2> headers{
        {{"crossfade-position", position}, {"crossfade-schema", events::schema_version}}};
    const std::string payload = events::encode(event, relations);
    for (int partition = 0; partition < partitions; ++partition)
        answered(producer.produce(config.stream.topic(), partition, events::message_key(event), payload, headers,
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

}  // namespace crossfade::ctl::stream
