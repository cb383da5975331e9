#pragma once

#include <utility>

#include "cdc/consume/event_order.hpp"

namespace crossfade::cdc::consume {

// The events of one partition of a stream that is ordered by key, each as it comes: nothing is held. Each event names
// the one that its publisher sent to the partition before, so that whoever has applied that one has the next; several
// publishers may be met at once, and what they sent twice is known by its place. The rules are those of events.proto.
class partition_sequence : public event_order {
  public:
    explicit partition_sequence(applied_place from) : handed_(std::move(from)) {}

    decision accept(received next) override;
    std::int64_t next_offset() const override { return handed_.next_offset; }
    std::size_t held_bytes() const override { return 0; }

  private:
    applied_place handed_;  // as if everything handed on were applied
};

}  // namespace crossfade::cdc::consume
