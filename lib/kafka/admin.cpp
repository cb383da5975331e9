#include "lib/kafka/admin.hpp"

#include <array>

#include "lib/kafka/event.hpp"

namespace crossfade::kafka {

namespace {

template <class T, void (*destroy)(T*)>
struct destroyer {
    void operator()(T* of) const { destroy(of); }
};

struct destroy_metadata {
    void operator()(const rd_kafka_metadata_t* of) const { rd_kafka_metadata_destroy(of); }
};
using metadata_handle = std::unique_ptr<const rd_kafka_metadata_t, destroy_metadata>;
using options_handle =
    std::unique_ptr<rd_kafka_AdminOptions_t, destroyer<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>>;
using new_topic_handle =
    std::unique_ptr<rd_kafka_NewTopic_t, destroyer<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>>;
using resource_handle =
    std::unique_ptr<rd_kafka_ConfigResource_t, destroyer<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>>;

result<client_handle> make_asker(const settings::kafka& config) {
    return make_client(RD_KAFKA_CONSUMER, config,
                       {{"group.id", "crossfade-admin"}, {"allow.auto.create.topics", "false"}});
}

enum class topics { none, all };

result<metadata_handle> ask(rd_kafka_t* client, topics wanted, std::chrono::milliseconds timeout) {
    const rd_kafka_metadata_t* found = nullptr;
    const auto code =
        rd_kafka_metadata(client, wanted == topics::all ? 1 : 0, nullptr, &found, static_cast<int>(timeout.count()));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return explained(client, code);
    return metadata_handle{found};
}

}  // namespace

result<cluster_description> describe_cluster(const settings::kafka& config, std::chrono::milliseconds timeout) {
    auto client = make_asker(config);
    if (!client) return client.error();
    const auto found = ask(client->get(), topics::none, timeout);
    if (!found) return found.error();
    cluster_description description;
    description.brokers = (*found)->broker_cnt;
    // In the metadata that has just come; no second question.
    if (char* id = rd_kafka_clusterid(client->get(), 0)) {
        description.id = id;
        rd_kafka_mem_free(client->get(), id);
    }
    return description;
}

result<topic_description> describe_topic(const settings::kafka& config, const std::string& topic,
                                         std::chrono::milliseconds timeout) {
    auto client = make_asker(config);
    if (!client) return client.error();
    // All of them: asking for one by name makes brokers create it (older ones, and those with
    // auto.create.topics.enable).
    const auto found = ask(client->get(), topics::all, timeout);
    if (!found) return found.error();
    for (int i = 0; i < (*found)->topic_cnt; ++i) {
        const auto& described = (*found)->topics[i];
        if (described.topic != topic) continue;
        if (described.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) break;
        if (described.err != RD_KAFKA_RESP_ERR_NO_ERROR && described.err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
            return failure_of(client->get(), described.err);
        return topic_description{topic, described.partition_cnt};
    }
    return topic_description{topic, 0};
}

result<std::map<std::string, std::string>> topic_settings(const settings::kafka& config, const std::string& topic,
                                                          std::chrono::milliseconds timeout) {
    auto client = make_asker(config);
    if (!client) return client.error();
    const options_handle options{rd_kafka_AdminOptions_new(client->get(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)};
    const int wait = static_cast<int>(timeout.count());
    std::array<char, 512> reason{};
    const auto limited = rd_kafka_AdminOptions_set_request_timeout(options.get(), wait, reason.data(), reason.size());
    if (limited != RD_KAFKA_RESP_ERR_NO_ERROR) return failure{limited, reason.data(), false};
    const resource_handle resource{rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str())};
    const queue_handle queue{rd_kafka_queue_new(client->get())};
    rd_kafka_ConfigResource_t* asked = resource.get();
    rd_kafka_DescribeConfigs(client->get(), &asked, 1, options.get(), queue.get());
    const event_handle event{rd_kafka_queue_poll(queue.get(), wait + 500)};
    if (!event) return explained(client->get(), RD_KAFKA_RESP_ERR__TIMED_OUT);
    if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return failure_of(client->get(), event.get());

    std::size_t count = 0;
    const auto* answered = rd_kafka_event_DescribeConfigs_result(event.get());
    const auto** resources = rd_kafka_DescribeConfigs_result_resources(answered, &count);
    if (count != 1) return failure{RD_KAFKA_RESP_ERR__BAD_MSG, "no answer for topic " + topic, false};
    if (const auto code = rd_kafka_ConfigResource_error(resources[0]); code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return failure_of(client->get(), code);
    const auto** entries = rd_kafka_ConfigResource_configs(resources[0], &count);
    std::map<std::string, std::string> found;
    for (std::size_t i = 0; i < count; ++i)
        if (const char* value = rd_kafka_ConfigEntry_value(entries[i]))
            found.emplace(rd_kafka_ConfigEntry_name(entries[i]), value);
    return found;
}

result<topic_creation> create_topic(const settings::kafka& config, const std::string& topic, int partitions,
                                    int replication_factor, const std::map<std::string, std::string>& properties,
                                    std::chrono::milliseconds timeout) {
    // Asked first: brokers that have no CreateTopics (librdkafka's mock cluster) can still say that it is there.
    const auto present = describe_topic(config, topic, timeout);
    if (!present) return present.error();
    if (present->partitions > 0) return topic_creation::existed;

    auto client = make_client(RD_KAFKA_PRODUCER, config, {});
    if (!client) return client.error();
    std::array<char, 512> reason{};
    const new_topic_handle wanted{
        rd_kafka_NewTopic_new(topic.c_str(), partitions, replication_factor, reason.data(), reason.size())};
    if (!wanted) return failure{RD_KAFKA_RESP_ERR__INVALID_ARG, reason.data(), false};
    for (const auto& [name, value] : properties) {
        const auto code = rd_kafka_NewTopic_set_config(wanted.get(), name.c_str(), value.c_str());
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failure{code, "topic property " + name, false};
    }
    const options_handle options{rd_kafka_AdminOptions_new(client->get(), RD_KAFKA_ADMIN_OP_CREATETOPICS)};
    const int wait = static_cast<int>(timeout.count());
    for (const auto set : {rd_kafka_AdminOptions_set_request_timeout, rd_kafka_AdminOptions_set_operation_timeout}) {
        const auto code = set(options.get(), wait, reason.data(), reason.size());
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failure{code, reason.data(), false};
    }

    const queue_handle queue{rd_kafka_queue_new(client->get())};
    std::array<rd_kafka_NewTopic_t*, 1> all{wanted.get()};
    rd_kafka_CreateTopics(client->get(), all.data(), all.size(), options.get(), queue.get());
    // A little longer than the request, whose own error says more than ours.
    const event_handle event{rd_kafka_queue_poll(queue.get(), wait + 500)};
    if (!event) return explained(client->get(), RD_KAFKA_RESP_ERR__TIMED_OUT);
    if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return failure_of(client->get(), event.get());

    std::size_t count = 0;
    const auto* answered = rd_kafka_event_CreateTopics_result(event.get());
    const auto* results = rd_kafka_CreateTopics_result_topics(answered, &count);
    if (count != 1) return failure{RD_KAFKA_RESP_ERR__BAD_MSG, "no answer for topic " + topic, false};
    const auto code = rd_kafka_topic_result_error(results[0]);
    if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return topic_creation::existed;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* why = rd_kafka_topic_result_error_string(results[0]);
        return failure{code, "topic " + topic + ": " + (why != nullptr ? why : rd_kafka_err2str(code)), false};
    }
    return topic_creation::created;
}

}  // namespace crossfade::kafka
