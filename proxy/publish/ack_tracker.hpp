#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "lib/model/lsn.hpp"

namespace crossfade::proxy::publish {

// Which of the events given to Kafka are acknowledged, and so how far the slot may be confirmed: to the end of the
// newest transaction of which every event, and every event before it, is acknowledged. Pure; answers may come in any
// order.
class ack_tracker {
  public:
    // The next event's sequence number: 1, 2, 3, … `end_lsn` is 0/0 for all but a transaction's last event.
    std::uint64_t produced(model::lsn end_lsn, std::size_t bytes);

    // A number that was never given out, or was acknowledged before, changes nothing.
    void acknowledged(std::uint64_t sequence);

    model::lsn confirmed() const { return confirmed_; }  // 0/0 until the first
    model::lsn published() const { return published_; }  // newest end_lsn given to produced()
    std::size_t unacknowledged_events() const { return unacknowledged_events_; }
    std::size_t unacknowledged_bytes() const { return unacknowledged_bytes_; }

  private:
    struct entry {
        model::lsn end_lsn;
        std::size_t bytes = 0;
        bool acknowledged = false;
    };
    std::deque<entry> pending_;  // from the oldest that is not acknowledged
    std::uint64_t first_ = 1;    // sequence number of pending_.front()
    model::lsn confirmed_;
    model::lsn published_;
    std::size_t unacknowledged_events_ = 0;
    std::size_t unacknowledged_bytes_ = 0;
};

}  // namespace crossfade::proxy::publish
