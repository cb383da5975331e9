#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/kafka/client.hpp"

namespace crossfade::kafka {

struct delivery {
    std::uint64_t sequence = 0;  // as given to produce()
    bool acknowledged = false;
    failure error;  // when not acknowledged
};

// An idempotent producer (acks=all, enable.gapless.guarantee, no message timeout: a message waits as long as the broker
// is away) whose answers come through poll(), in the caller's thread; librdkafka's threads never run our code. Not
// thread-safe. Any failed delivery and any fatal error mean that what follows may have a gap before it: destroy the
// producer and begin again from what was acknowledged.
class producer {
  public:
    producer(producer&&) noexcept = default;
    producer& operator=(producer&& other) noexcept;  // swaps: a queue must go before its client

    // max_unacknowledged: messages that produce() accepts before it answers queue_full. So do 256 MiB of them
    // (queue.buffering.max.kbytes), whichever is reached first.
    static result<producer> open(const settings::kafka& config, unsigned max_unacknowledged);

    enum class outcome { queued, queue_full };
    using header = std::pair<std::string_view, std::string_view>;

    // Copies what it is given; an empty key is none (null), and so is an empty payload (a tombstone). Partition 0
    // upwards; RD_KAFKA_PARTITION_UA picks one by the key. Fails at once for a message beyond message.max.bytes (64 MiB
    // unless configured; RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE). The topic's own limit shows as a delivery that fails
    // with the same code, and beginning again would only meet it again.
    result<outcome> produce(const std::string& topic, std::int32_t partition, std::string_view key,
                            std::string_view payload, std::span<const header> headers, std::uint64_t sequence);

    // Deliveries that have come in since; waits up to `timeout` for the first one. Fails with a fatal error alone.
    // Errors that librdkafka mends by itself (broker away) are counted in transient_errors() and kept in last_error().
    result<std::vector<delivery>> poll(std::chrono::milliseconds timeout);

    // Messages neither acknowledged nor failed.
    unsigned unacknowledged() const { return unacknowledged_; }
    std::uint64_t transient_errors() const { return transient_errors_; }
    const failure& last_error() const { return last_error_; }

    // Gives up on what is queued, so that destruction doesn't wait.
    void abandon();

    // A file descriptor that becomes readable when poll() has something: for a loop that waits for more than Kafka.
    int wakeup_fd() const { return wakeup_fd_.get(); }

  private:
    class descriptor {
      public:
        explicit descriptor(int owned = -1) : fd_(owned) {}
        descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
        descriptor& operator=(descriptor&& other) noexcept {
            std::swap(fd_, other.fd_);
            return *this;
        }
        ~descriptor();
        int get() const { return fd_; }

      private:
        int fd_;
    };

    struct destroy_topic {
        void operator()(rd_kafka_topic_t* of) const { rd_kafka_topic_destroy(of); }
    };
    using topic_handle = std::unique_ptr<rd_kafka_topic_t, destroy_topic>;
    result<rd_kafka_topic_t*> handle_of(const std::string& topic);

    producer(client_handle client, queue_handle queue, descriptor wakeup, unsigned max_unacknowledged);

    descriptor wakeup_fd_;  // outlives the queue that writes to it
    client_handle client_;
    queue_handle queue_;
    // Those that were ever produced to: librdkafka would look for them by name, under its lock, for each message.
    std::vector<std::pair<std::string, topic_handle>> topics_;
    unsigned max_unacknowledged_ = 0;
    unsigned unacknowledged_ = 0;
    std::uint64_t transient_errors_ = 0;
    failure last_error_;
};

}  // namespace crossfade::kafka
