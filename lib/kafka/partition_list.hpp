#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>
#include <string>

namespace crossfade::kafka {

struct destroy_list {
    void operator()(rd_kafka_topic_partition_list_t* of) const { rd_kafka_topic_partition_list_destroy(of); }
};
using list_handle = std::unique_ptr<rd_kafka_topic_partition_list_t, destroy_list>;

inline list_handle one_partition(const std::string& topic, std::int32_t partition, std::int64_t offset) {
    list_handle list{rd_kafka_topic_partition_list_new(1)};
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
    return list;
}

}  // namespace crossfade::kafka
