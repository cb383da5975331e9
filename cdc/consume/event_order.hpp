#pragma once

#include <cstddef>
#include <cstdint>
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
        barrier,  // of a stream that is ordered by key: `part` is one event, to be applied once in all partitions
    };
    outcome what = outcome::held;
    // Parts handed on before belong to a copy that is given up: roll them back, then go on with `part`, if any.
    bool roll_back = false;
    std::optional<piece> part;
    std::optional<preference> prefer;
    std::optional<model::place> after_others;  // `part` is to wait until the other partitions have come so far
    std::optional<stop> why;
};

decision stopped(stop why);

// What the follower holds. Positions are compared with the end of the last transaction: a commit record may begin
// exactly there.
struct applied_place {
    std::uint64_t system_identifier = 0;
    std::uint32_t timeline = 0;
    model::lsn end_lsn;
    std::int64_t next_offset = 0;
    std::vector<model::timeline_end> left = {};  // timelines that led to this one, as far as they are known
    model::place last = {};                      // the last event, where the stream is ordered by key
};

// Says what is to be done with the next message of a partition, so that what is applied is what the source committed,
// each once and in order. No I/O, no clock.
class event_order {
  public:
    event_order() = default;
    event_order(const event_order&) = delete;
    event_order& operator=(const event_order&) = delete;
    virtual ~event_order() = default;

    virtual decision accept(received next) = 0;
    // The offset to store with everything handed on so far: all events before it are handed on or repeats.
    virtual std::int64_t next_offset() const = 0;
    virtual std::size_t held_bytes() const = 0;
};

// Which history events are of; the rules of events.proto. What stands in the way, if anything does.
std::optional<stop> judge_cluster(const received& next, const applied_place& at);
bool written_after_it_was_left(const model::position& event, const applied_place& at);
stop of_the_past(const model::change_event& event, const applied_place& at);
stop diverged(const model::change_event& event, const applied_place& at);
// Goes on to the event's timeline, where that is another one. `end`: up to where everything is applied.
std::optional<stop> cross_over(const model::change_event& event, model::lsn end, applied_place& at);

}  // namespace crossfade::cdc::consume
