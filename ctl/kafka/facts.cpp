#include "ctl/kafka/facts.hpp"

#include <librdkafka/rdkafka.h>

#include <array>
#include <chrono>
#include <memory>

#include "lib/kafka/admin.hpp"
#include "lib/kafka/client.hpp"

namespace crossfade::ctl::kafka {

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::milliseconds patience = 5s;

struct destroy_resource {
    void operator()(rd_kafka_ConfigResource_t* of) const { rd_kafka_ConfigResource_destroy(of); }
};
struct destroy_options {
    void operator()(rd_kafka_AdminOptions_t* of) const { rd_kafka_AdminOptions_destroy(of); }
};

// DescribeConfigs. Nullopt when the broker refuses it (no right, or too simple a broker).
std::optional<std::map<std::string, std::string>> topic_settings(const settings::kafka& config,
                                                                 const std::string& topic) {
    auto client = crossfade::kafka::make_client(RD_KAFKA_PRODUCER, config, {});
    if (!client) return std::nullopt;
    const crossfade::kafka::queue_handle queue{rd_kafka_queue_new(client->get())};
    const std::unique_ptr<rd_kafka_AdminOptions_t, destroy_options> options{
        rd_kafka_AdminOptions_new(client->get(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)};
    std::array<char, 256> reason{};
    rd_kafka_AdminOptions_set_request_timeout(options.get(), static_cast<int>(patience.count()), reason.data(),
                                              reason.size());
    const std::unique_ptr<rd_kafka_ConfigResource_t, destroy_resource> resource{
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str())};
    rd_kafka_ConfigResource_t* asked = resource.get();
    rd_kafka_DescribeConfigs(client->get(), &asked, 1, options.get(), queue.get());
    const crossfade::kafka::event_handle event{
        rd_kafka_queue_poll(queue.get(), static_cast<int>((patience + 1s).count()))};
    if (event == nullptr || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
    const auto* result = rd_kafka_event_DescribeConfigs_result(event.get());
    if (result == nullptr) return std::nullopt;
    std::size_t resources = 0;
    const auto** answers = rd_kafka_DescribeConfigs_result_resources(result, &resources);
    if (resources != 1 || rd_kafka_ConfigResource_error(answers[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
    std::size_t entries = 0;
    const auto** entry = rd_kafka_ConfigResource_configs(answers[0], &entries);
    std::map<std::string, std::string> found;
    for (std::size_t i = 0; i < entries; ++i) {
        const char* value = rd_kafka_ConfigEntry_value(entry[i]);
        if (value != nullptr) found[rd_kafka_ConfigEntry_name(entry[i])] = value;
    }
    return found;
}

bool describe(const settings::kafka& config, const std::string& topic, topic_facts& into, std::string& problem) {
    const auto described = crossfade::kafka::describe_topic(config, topic, patience);
    if (!described) {
        problem = "topic " + topic + ": " + to_string(described.error());
        return false;
    }
    into.partitions = described->partitions;
    if (into.partitions > 0) into.settings = topic_settings(config, topic);
    return true;
}

}  // namespace

facts read_facts(const settings::configuration& config) {
    facts found;
    found.brokers = config.kafka.brokers;
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
