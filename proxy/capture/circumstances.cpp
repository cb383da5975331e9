#include "proxy/capture/circumstances.hpp"

#include <chrono>

#include "lib/kafka/admin.hpp"
#include "lib/kafka/consumer.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::proxy::capture {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 2s;  // for one answer: whoever stops the program waits for it

// How much WAL it keeps changes by itself, unless all is lost.
constexpr const char* place_query =
    "SELECT concat_ws(' ', plugin, database, confirmed_flush_lsn, wal_status = 'lost'), active"
    " FROM pg_replication_slots WHERE slot_name = $1";

std::string message_limit(const settings::kafka& kafka, const std::string& topic) {
    const auto settings = kafka::topic_settings(kafka, topic, patience);
    if (!settings) return {};
    const auto found = settings->find("max.message.bytes");
    return found == settings->end() ? std::string{} : found->second;
}

}  // namespace

std::optional<circumstances> look_around(const settings::configuration& config) {
    circumstances found;
    pgclient::open_options options;
    options.application_name = "crossfade-publisher";
    options.connect_timeout = patience;
    options.silence = patience;
    auto legacy = pgclient::connection::open(config.legacy.dsn, options);
    if (!legacy) return std::nullopt;
    const auto slot = legacy->exec(place_query, {config.stream.slot()});
    if (!slot) return std::nullopt;
    if (!slot->empty()) {
        found.slot = slot->text(0, 0);
        found.held = slot->boolean(0, 1);
    }
    auto topic = kafka::partition_reader::open(config.kafka, config.stream.topic(), 0, "crossfade-publisher");
    if (!topic) return std::nullopt;
    for (int i = 0; i < config.stream.topic_partitions(); ++i) {
        topic->turn_to(i);
        const auto ends = topic->query_watermarks(patience);
        if (!ends) return std::nullopt;
        found.topic_end += ends->high;
    }
    found.message_limits = message_limit(config.kafka, config.stream.topic());
    if (config.stream.json_events)
        found.message_limits += ' ' + message_limit(config.kafka, config.stream.json_topic());
    return found;
}

bool worth_another_look(const setback& why, const circumstances& before, const circumstances& now) {
    return now.slot != before.slot || (now.held && before.held) ||
           (why.for_the_topic && now.topic_end != before.topic_end) || now.message_limits != before.message_limits;
}

}  // namespace crossfade::proxy::capture
