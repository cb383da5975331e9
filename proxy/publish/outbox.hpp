#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "lib/events/codec.hpp"
#include "lib/events/envelope.hpp"
#include "lib/kafka/producer.hpp"
#include "proxy/publish/ack_tracker.hpp"
#include "proxy/publish/letters.hpp"
#include "proxy/publish/partitioner.hpp"

namespace crossfade::proxy::publish {

// Events on their way to the stream's topics, bounded in number and bytes. Not thread-safe.
class outbox {
  public:
    struct limits {
        unsigned events = 0;
        std::size_t bytes = 0;  // the newest event may go beyond it: one that is larger must pass too
    };
    // A second topic that gets the same changes as JSON for others to read. What it has not acknowledged isn't
    // confirmed to the slot either: nothing is missing there that the first topic has.
    struct json_copy {
        std::string topic;
        events::envelope_source source;
    };
    // `by_key`: of a stream that is ordered so; without it everything goes to partition 0, and commit order is kept
    // whole.
    static kafka::result<outbox> open(const settings::kafka& config, const std::string& topic, const limits& most,
                                      std::optional<json_copy> json, std::optional<partitioner> by_key = {});

    // No event may be put while this is true.
    bool full() const;

    // Queues it for send(). What the event says of its partition is set here.
    void put(model::change_event& event);

    // Gives to the producer what was put since it was last called, all at once, so that it goes in few requests: the
    // events of a reader that comes back for a row each time cost the broker several times as much. Fails for an event
    // that Kafka's limits don't allow, and for an error that ends the producer.
    kafka::result<void> send();

    // Takes in what Kafka has answered since, waiting up to `timeout` for the first answer. After any failure what
    // follows may have a gap before it: begin again from what the slot was told.
    kafka::result<void> settle(std::chrono::milliseconds timeout);

    const ack_tracker& acks() const { return acks_; }
    const kafka::failure& last_error() const { return producer_.last_error(); }
    int wakeup_fd() const { return producer_.wakeup_fd(); }
    // So that destruction doesn't wait for a broker that is away.
    void abandon() { producer_.abandon(); }

  private:
    outbox(kafka::producer producer, std::string topic, const limits& most, std::optional<json_copy> json,
           std::optional<partitioner> by_key)
        : topic_(std::move(topic)),
          most_(most),
          json_(std::move(json)),
          by_key_(std::move(by_key)),
          producer_(std::move(producer)) {}

    void put_json(const model::change_event& event);
    void put_by_key(model::change_event& event);
    void post_event(const model::change_event& event, std::int32_t partition, model::lsn complete);
    void post(letters::destination to, std::int32_t partition, const letters::parts& made, model::lsn complete);
    kafka::result<void> hand_over();

    std::string topic_;
    limits most_;
    std::optional<json_copy> json_;
    std::optional<partitioner> by_key_;
    kafka::producer producer_;
    events::relation_encoder relations_;
    ack_tracker acks_;
    letters waiting_;             // for send(), or for room in the producer's queue
    std::size_t to_be_sent_ = 0;  // of them
};

}  // namespace crossfade::proxy::publish
