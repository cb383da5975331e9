#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/kafka/client.hpp"

namespace crossfade::kafka {

// A member of a consumer group: which partitions of a topic are its own, by Kafka's cooperative protocol, so that those
// that stay where they are go on meanwhile. It reads nothing: whoever is given a partition opens a partition_reader.
// https://cwiki.apache.org/confluence/display/KAFKA/KIP-429
class group_member {
  public:
    using partitions = std::vector<std::int32_t>;
    // Called in poll() and in the destructor. The group waits for `taken` to return before another member is given
    // them, unless this one is thought dead.
    struct handlers {
        std::function<void(const partitions&)> given;
        std::function<void(const partitions&)> taken;
    };

    // Doesn't wait for the broker. Fails for properties that librdkafka refuses.
    static result<std::unique_ptr<group_member>> join(const settings::kafka& config, const std::string& topic,
                                                      const std::string& group, handlers tell);
    ~group_member();  // leaves the group, within seconds
    group_member(const group_member&) = delete;
    group_member& operator=(const group_member&) = delete;

    // At least every few minutes, or the group takes this member for dead. Waits up to `timeout` for something to
    // happen. Fails with fatal=false for what passes by itself.
    result<void> poll(std::chrono::milliseconds timeout);

    // Whether the group has taken it in; it may have been given nothing, where there are more members than partitions.
    bool admitted() const;

    // A hint for tools (kafka-consumer-groups.sh), by partition; never read by us. Partitions of others are refused.
    void note_offsets(const std::map<std::int32_t, std::int64_t>& next);

  private:
    group_member(std::string topic, handlers tell) : topic_(std::move(topic)), tell_(std::move(tell)) {}

    static void rebalanced(rd_kafka_t* client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* which,
                           void* self);

    std::string topic_;
    handlers tell_;
    client_handle client_;
};

}  // namespace crossfade::kafka
