#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/kafka/client.hpp"

namespace crossfade::kafka {

struct topic_description {
    std::string name;
    int partitions = 0;  // 0: no such topic
};

struct cluster_description {
    std::string id;  // empty where the broker doesn't say
    int brokers = 0;
};

// Questions and orders to a cluster; each opens its own client, blocks up to `timeout`, and is for tools and start-up.
result<cluster_description> describe_cluster(const settings::kafka& config, std::chrono::milliseconds timeout);
result<topic_description> describe_topic(const settings::kafka& config, const std::string& topic,
                                         std::chrono::milliseconds timeout);

// The topic's settings as they are in force, by name: cleanup.policy, retention.ms, max.message.bytes, ... Fails where
// the broker doesn't tell (no right to DescribeConfigs, or too simple a broker).
result<std::map<std::string, std::string>> topic_settings(const settings::kafka& config, const std::string& topic,
                                                          std::chrono::milliseconds timeout);

enum class topic_creation { created, existed };
// replication_factor -1: the cluster's default. `properties`: topic settings such as cleanup.policy.
result<topic_creation> create_topic(const settings::kafka& config, const std::string& topic, int partitions,
                                    int replication_factor, const std::map<std::string, std::string>& properties,
                                    std::chrono::milliseconds timeout);

}  // namespace crossfade::kafka
