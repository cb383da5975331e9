#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <string_view>

namespace crossfade::kafka {

// The partition that Kafka's own producers (Java's DefaultPartitioner: murmur2 of the key) give a message of this key.
inline std::int32_t partition_of(std::string_view key, int partitions) {
    return rd_kafka_msg_partitioner_murmur2(nullptr, key.data(), key.size(), partitions, nullptr, nullptr);
}

}  // namespace crossfade::kafka
