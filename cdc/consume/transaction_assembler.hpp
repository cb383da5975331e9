#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "lib/model/change.hpp"
#include "lib/model/timeline.hpp"

namespace crossfade::cdc::consume {

// An event as the topic gave it.
struct received {
    model::change_event event;
    std::int64_t offset = 0;
    std::size_t bytes = 0;  // of the message
};

// A transaction, or a part of one that is too large to be held whole. Parts follow one another, in order, with nothing
// between.
struct piece {
    std::vector<received> events;
    std::size_t bytes = 0;
    bool begins = true;  // holds the transaction's first event
    bool ends = true;    // holds its last
};

// Why the stream can't go on by itself.
enum class stop_cause {
    foreign_cluster,     // another system_identifier
    older_timeline,      // of a history that the source has left
    diverged,            // of a history that the follower has left: the source has lost what is applied
    missing_events,      // `previous` lies after what is applied: something between is not in the topic
    broken_transaction,  // ordinals that do not follow, or another transaction before the last event of this one
    bad_event,           // contradicts itself
};

struct stop {
    stop_cause cause;
    std::string what;  // one sentence with positions
};

// A transaction of one publisher that is to be taken although another's copy came first.
struct preference {
    model::lsn commit_lsn;
    std::uint64_t publisher = 0;
};

struct decision {
    enum class outcome {
        held,     // kept, or known to be of no use for now
        repeat,   // applied before
        ready,    // `part` is to be applied
        reread,   // read again from the stored progress, with `prefer`
        stopped,  // `why`
    };
    outcome what = outcome::held;
    // Parts handed on before belong to a copy that is given up: roll them back, then go on with `part`, if any.
    bool roll_back = false;
    std::optional<piece> part;
    std::optional<preference> prefer;
    std::optional<stop> why;
};

// What the follower holds. Positions are compared with the end of the last transaction: a commit record may begin
// exactly there.
struct applied_place {
    std::uint64_t system_identifier = 0;
    std::uint32_t timeline = 0;
    model::lsn end_lsn;
    std::int64_t next_offset = 0;
    std::vector<model::timeline_end> left = {};  // timelines that led to this one, as far as they are known
};

// Makes transactions of the events of one partition: no I/O, no clock. The rules are those of events.proto. Several
// publishers may be met at once (one that died in the middle, one that took over, one that does not know yet that it
// has lost the slot), so that each has its own transaction in the making.
//
// Holds at most `most_bytes` a publisher, and at most `most_publishers` of them hold anything. A transaction beyond
// that is handed on in parts. Of two such copies, the one that grew last takes the other's place; should the other be
// the one that is completed, it is read again (`reread`) and preferred.
class transaction_assembler {
  public:
    static constexpr std::size_t most_publishers = 8;
    static constexpr std::size_t most_unfinished = 1000;  // with those of which nothing is held

    transaction_assembler(applied_place from, std::size_t most_bytes, std::optional<preference> prefer = {});

    decision accept(received next);

    // The offset to store with everything handed on so far: all events before it are handed on or repeats.
    std::int64_t next_offset() const;
    // Whether parts of an unfinished transaction have been handed on.
    bool in_parts() const;
    std::size_t held_bytes() const;
    const applied_place& handed() const { return handed_; }

  private:
    struct open_transaction {
        std::uint64_t publisher = 0;
        model::lsn commit_lsn;
        std::int64_t first_offset = 0;
        std::uint64_t ordinals = 0;  // seen so far
        bool dropped = false;        // nothing of it is held any more
        bool parts_handed = false;
        piece gathered;
    };
    using open_list = std::list<open_transaction>;

    decision begin(received&& next);
    // Of a timeline that the source has left, behind the place where it did: written by a server that should be down.
    bool written_after_it_was_left(const model::position& at) const;
    decision of_the_past(const model::change_event& event) const;
    decision diverged(const model::change_event& from) const;
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
