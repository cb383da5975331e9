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
    // When it was written, by the producer's or the broker's clock (message.timestamp.type): what retention.ms counts
    // from. Empty where the broker keeps none.
    std::optional<std::chrono::sys_time<std::chrono::milliseconds>> written_at() const;
    std::string_view payload() const { return {static_cast<const char*>(message_->payload), message_->len}; }
    std::string_view key() const { return {static_cast<const char*>(message_->key), message_->key_len}; }

  private:
    message_handle message_;
};

struct watermarks {
    std::int64_t low = 0;   // first offset that is there
    std::int64_t high = 0;  // one after the last
};

// Reads one partition from a given offset (assign, not subscribe: the place to read from is the follower's progress,
// not a committed offset). read_committed; an offset that isn't there any more is an error (auto.offset.reset=error),
// never a skip. Bounded: about 16 MiB, or 30,000 messages, are fetched ahead (queued.max.messages.kbytes,
// queued.min.messages). Not thread-safe, but for note_offset(), which one other thread may call. Messages must be gone
// before their reader.
class partition_reader {
  public:
    // `group` is only a name under which tools see the offsets that note_offset() leaves.
    static result<partition_reader> open(const settings::kafka& config, const std::string& topic,
                                         std::int32_t partition, const std::string& group);

    partition_reader(partition_reader&&) noexcept = default;
    partition_reader& operator=(partition_reader&& other) noexcept;  // swaps: a queue must go before its client

    // Where reading goes on. Fails with fatal=true when the offset lies outside the watermarks
    // (RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE), with fatal=false when the broker doesn't answer in time.
    result<void> seek(std::int64_t offset, std::chrono::milliseconds timeout);

    // What has come in, up to `most`; waits up to `timeout` for the first; empty when nothing came.
    // Fails with fatal=true for what can't be continued without a skip (RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, or a
    // batch that is damaged), and goes on failing until the next seek(); with fatal=false for what passes by itself
    // (broker away, topic unknown or not allowed for the time being): librdkafka keeps trying, just read() again.
    result<std::vector<message>> read(std::size_t most, std::chrono::milliseconds timeout);

    // Asks the broker. Fails when it doesn't answer in time.
    result<watermarks> query_watermarks(std::chrono::milliseconds timeout);

    // From now on it is about another partition of the topic: seek() next.
    void turn_to(std::int32_t partition) { partition_ = partition; }

    // A hint for tools (kafka-consumer-groups.sh), sent at most once a second; never read by us.
    void note_offset(std::int64_t next);

  private:
    partition_reader(client_handle client, queue_handle queue, std::string topic, std::int32_t partition);

    result<std::int64_t> ask_offset(std::int64_t end, std::chrono::milliseconds timeout);
    void keep_fetching(const std::vector<message>& taken);

    client_handle client_;
    queue_handle queue_;
    std::string topic_;
    std::int32_t partition_ = 0;
    std::size_t full_at_ = 0;  // messages in the queue at which no more are fetched
    std::size_t much_bytes_ = 0;
    bool was_full_ = false;
    std::size_t taken_bytes_ = 0;     // since the broker was asked for more
    std::optional<failure> pending_;  // came after messages that were handed out first
    std::optional<std::chrono::steady_clock::time_point> noted_at_;
};

}  // namespace crossfade::kafka
