#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <variant>
#include <vector>

#include "cdc/consume/event_order.hpp"
#include "lib/events/codec.hpp"
#include "lib/kafka/consumer.hpp"

namespace crossfade::cdc::consume {

// What the feed has next. After `unreadable` and `no_event` nothing comes any more.
struct nothing_yet {};
struct event_lot {
    std::vector<received> events;  // in the topic's order; never empty
    std::size_t bytes = 0;         // of their messages
};
struct broker_lost {  // passes by itself; the feed keeps trying
    kafka::failure why;
};
struct broker_regained {};
struct unreadable {  // can't be read on without a gap
    kafka::failure why;
};
struct no_event {  // a message that is none
    std::int64_t offset = 0;
};
using delivery = std::variant<nothing_yet, event_lot, broker_lost, broker_regained, unreadable, no_event>;

// Reads a partition ahead of who applies its events, and decodes them, on a thread of its own: both cost about what the
// apply itself costs this process. Order is kept: a failure is handed out after the events that came before it.
//
// Bounded: at `most_bytes` of messages (one lot more at most) it stops reading, and goes on at half of that.
class topic_feed {
  public:
    // `from` has been sought to the first offset. It and `relations` are the feed's while it lives, but for
    // note_offset().
    topic_feed(kafka::partition_reader& from, events::relation_decoder& relations, std::size_t most_bytes);
    ~topic_feed();  // stops: within what one question to the broker may take
    topic_feed(const topic_feed&) = delete;
    topic_feed& operator=(const topic_feed&) = delete;

    // Waits up to `time` for something to come. Throws what the feed's thread ended with.
    delivery take(std::chrono::milliseconds time);

    // Of messages read and not yet taken.
    std::size_t held_bytes() const;

  private:
    using item = std::variant<delivery, std::exception_ptr>;

    void run(const std::stop_token& stopping);
    // False: nothing follows.
    bool read(const std::stop_token& stopping);
    void put(item next);
    bool make_room(const std::stop_token& stopping);

    kafka::partition_reader& from_;
    events::relation_decoder& relations_;
    const std::size_t most_bytes_;
    bool away_ = false;  // this and the next are the thread's own
    std::chrono::steady_clock::time_point heard_ = std::chrono::steady_clock::now();

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<item> items_;
    std::size_t bytes_ = 0;
    std::jthread thread_;
};

}  // namespace crossfade::cdc::consume
