#include "ctl/kafka/facts.hpp"

#include <chrono>
#include <utility>

#include "lib/kafka/admin.hpp"

namespace crossfade::ctl::kafka {

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::milliseconds patience = 5s;

bool describe(const settings::kafka& config, const std::string& topic, topic_facts& into, std::string& problem) {
    const auto described = crossfade::kafka::describe_topic(config, topic, patience);
    if (!described) {
        problem = "topic " + topic + ": " + to_string(described.error());
        return false;
    }
    into.partitions = described->partitions;
    if (into.partitions == 0) return true;
    if (auto found = crossfade::kafka::topic_settings(config, topic, patience)) into.settings = std::move(*found);
    return true;
}

}  // namespace

facts read_facts(const settings::configuration& config) {
    facts found;
    found.brokers = config.kafka.brokers;
    found.largest_message = crossfade::kafka::largest_message_of(config.kafka);
    const auto cluster = crossfade::kafka::describe_cluster(config.kafka, patience);
    if (!cluster) {
        found.problem = to_string(cluster.error());
        return found;
    }
    found.broker_count = cluster->brokers;
    const auto look = [&](const std::string& topic, topic_facts& into) {
        return describe(config.kafka, topic, into, found.problem);
    };
    if (!look(config.stream.topic(), found.changes)) return found;
    if (!look(config.stream.dead_letter_topic(), found.dead_letters)) return found;
    if (config.stream.json_events) look(config.stream.json_topic(), found.json);
    return found;
}

}  // namespace crossfade::ctl::kafka
