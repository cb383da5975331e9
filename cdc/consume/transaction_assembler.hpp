#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>

#include "cdc/consume/event_order.hpp"

namespace crossfade::cdc::consume {

// Makes transactions of the events of one partition: no I/O, no clock. The rules are those of events.proto. Several
// publishers may be met at once (one that died in the middle, one that took over, one that does not know yet that it
// has lost the slot), so that each has its own transaction in the making.
//
// Holds at most `most_bytes` a publisher, and at most `most_publishers` of them hold anything. A transaction beyond
// that is handed on in parts. Of two such copies, the one that grew last takes the other's place; should the other be
// the one that is completed, it is read again (`reread`) and preferred.
class transaction_assembler : public event_order {
  public:
    static constexpr std::size_t most_publishers = 8;
    // With those of which nothing is held; beyond it the oldest of these is forgotten.
    static constexpr std::size_t most_unfinished = 1000;

    transaction_assembler(applied_place from, std::size_t most_bytes, std::optional<preference> prefer = {});

    decision accept(received next) override;
    std::int64_t next_offset() const override;
    // Whether parts of an unfinished transaction have been handed on.
    bool in_parts() const;
    std::size_t held_bytes() const override;
    const applied_place& handed() const { return handed_; }

  private:
    struct open_transaction {
        std::uint64_t publisher = 0;
        model::position begins;  // its first event
        std::int64_t first_offset = 0;
        std::uint64_t ordinals = 0;  // seen so far
        bool dropped = false;        // nothing of it is held any more
        bool parts_handed = false;
        piece gathered;
    };
    using open_list = std::list<open_transaction>;

    decision judge(received&& next);
    decision begin(received&& next);
    decision go_on(open_list::iterator open, received&& next);
    decision finish(open_list::iterator open);
    void give_up(open_transaction& open);
    open_list::iterator find(std::uint64_t publisher);

    applied_place handed_;  // as if everything handed on were applied
    std::size_t most_bytes_;
    std::optional<preference> prefer_;
    open_list open_;  // in the order in which they began
};

}  // namespace crossfade::cdc::consume
