#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/kafka/client.hpp"

namespace crossfade::kafka {

// One message, as long as it lives.
class message {
  public:
    explicit message(message_handle owned) : message_(std::move(owned)) {}

    std::int64_t offset() const { return message_->offset; }
    std::int32_t partition() const { return message_->partition; }
    std::string_view payload() const { return {static_cast<const char*>(message_->payload), message_->len}; }
    std::string_view key() const { return {static_cast<const char*>(message_->key), message_->key_len}; }

  private:
    message_handle message_;
};

struct watermarks {
    std::int64_t low = 0;   // first offset that is there
    std::int64_t high = 0;  // one after the last
};

// Reads one partition from a given offset (assign, not subscribe: the place to read from is the follower's progress, not a
// committed offset). read_committed; an offset that isn't there any more is an error (auto.offset.reset=error), never a skip.
// Not thread-safe.
class partition_reader {
  public:
    // `group` is only a name under which tools see the offsets that note_offset() leaves.
    static result<partition_reader> open(const settings::kafka& config, const std::string& topic,
                                         std::int32_t partition, const std::string& group);

    // Where reading goes on. Fails when the offset lies outside the watermarks (RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE).
    result<void> seek(std::int64_t offset, std::chrono::milliseconds timeout);

    // What has come in, up to `most`; waits up to `timeout` for the first; empty when nothing came.
    // Fails with fatal=true for what can't be continued (offset out of range); with fatal=false for what passes.
    result<std::vector<message>> read(std::size_t most, std::chrono::milliseconds timeout);

    // Asks the broker. Fails when it doesn't answer in time.
    result<watermarks> query_watermarks(std::chrono::milliseconds timeout);

    // A hint for tools (kafka-consumer-groups.sh), sent when it suits; never read by us.
    void note_offset(std::int64_t next);

  private:
    partition_reader(client_handle client, queue_handle queue, std::string topic, std::int32_t partition);

    client_handle client_;
    queue_handle queue_;
    std::string topic_;
    std::int32_t partition_ = 0;
};

}  // namespace crossfade::kafka
