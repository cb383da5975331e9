#include "cdc/consume/transaction_assembler.hpp"

#include <algorithm>
#include <utility>

namespace crossfade::cdc::consume {

namespace {

decision stopped(stop_cause cause, std::string what) {
    return stopped(stop{cause, std::move(what)});
}

decision plain(decision::outcome what) {
    decision made;
    made.what = what;
    return made;
}

}  // namespace

transaction_assembler::transaction_assembler(applied_place from, std::size_t most_bytes,
                                             std::optional<preference> prefer)
    : handed_(std::move(from)), most_bytes_(most_bytes), prefer_(prefer) {}

decision transaction_assembler::accept(received next) {
    const auto before = std::exchange(handed_.next_offset, next.offset + 1);
    auto made = judge(std::move(next));
    // Whoever begins here next has to meet it, too, whatever was applied on the way to it.
    if (made.what == decision::outcome::stopped) handed_.next_offset = before;
    return made;
}

decision transaction_assembler::judge(received&& next) {
    const auto& at = next.event.at;
    if (auto foreign = judge_cluster(next, handed_)) return stopped(std::move(*foreign));
    if (next.event.partition_previous) {
        return stopped(stop_cause::bad_event,
                       "event " + model::to_string(at) + " is of a stream that is ordered by key");
    }
    const auto open = find(next.event.publisher);
    // Before repeats: its LSN may be one that the new timeline has passed.
    if (written_after_it_was_left(at, handed_)) return stopped(of_the_past(next.event, handed_));
    const bool resynced = next.event.publisher == model::resync_publisher;
    if (at.commit_lsn < handed_.end_lsn || (resynced && at.commit_lsn == handed_.end_lsn)) {
        // An LSN that was used twice: a repeat would have the timeline that it had the first time.
        if (at.timeline > handed_.timeline) return stopped(diverged(next.event, handed_));
        if (open != open_.end()) {
            return stopped(stop_cause::broken_transaction,
                           "publisher went back to " + model::to_string(at) + " in the middle of a transaction");
        }
        return plain(decision::outcome::repeat);
    }
    if (at.timeline < handed_.timeline) return stopped(of_the_past(next.event, handed_));
    if (resynced) {
        return stopped(stop_cause::missing_events, "every table was copied anew behind " +
                                                       model::to_string(at.commit_lsn) + ", and the follower, at " +
                                                       model::to_string(handed_.end_lsn) + ", is from before that");
    }
    if (prefer_ && prefer_->commit_lsn == at.commit_lsn && prefer_->publisher != next.event.publisher) {
        return plain(decision::outcome::held);
    }
    if (at.ordinal <= 1) return begin(std::move(next));
    if (open == open_.end() || open->begins.commit_lsn != at.commit_lsn || at.ordinal != open->ordinals + 1) {
        return stopped(stop_cause::broken_transaction,
                       "event " + model::to_string(at) + " does not follow what its publisher sent before");
    }
    return go_on(open, std::move(next));
}

decision transaction_assembler::begin(received&& next) {
    const auto& at = next.event.at;
    if (!next.event.previous || (at.ordinal == 0 && !next.event.last)) {
        return stopped(stop_cause::bad_event,
                       "event " + model::to_string(at) + " begins a transaction but does not say what came before it");
    }
    if (*next.event.previous > handed_.end_lsn) {
        return stopped(stop_cause::missing_events, "event " + model::to_string(at) + " follows " +
                                                       model::to_string(*next.event.previous) +
                                                       ", but the follower is at " + model::to_string(handed_.end_lsn));
    }
    if (auto stop = cross_over(next.event, handed_.end_lsn, handed_)) return stopped(std::move(*stop));
    bool roll_back = false;
    if (const auto before = find(next.event.publisher); before != open_.end()) {
        if (before->begins.commit_lsn != at.commit_lsn) {
            return stopped(stop_cause::broken_transaction,
                           "the transaction at " + model::to_string(before->begins.commit_lsn) +
                               " was not finished when " + model::to_string(at) + " began");
        }
        roll_back = before->parts_handed;
        open_.erase(before);
    }
    if (open_.size() == most_unfinished) {
        // Most are of attempts that failed, and never go on. Should one do so, its rows follow nothing.
        static_assert(most_unfinished > most_publishers + 1, "some are dropped");
        open_.erase(std::find_if(open_.begin(), open_.end(), [](const auto& o) { return o.dropped; }));
    }
    const auto holds = [](const auto& o) { return !o.dropped && !o.parts_handed; };
    if (std::count_if(open_.begin(), open_.end(), holds) >= static_cast<std::ptrdiff_t>(most_publishers)) {
        // The oldest is the likeliest to be dead.
        give_up(*std::find_if(open_.begin(), open_.end(), holds));
    }
    open_transaction fresh;
    fresh.publisher = next.event.publisher;
    fresh.begins = at;
    fresh.first_offset = next.offset;
    auto made = go_on(open_.insert(open_.end(), std::move(fresh)), std::move(next));
    made.roll_back = made.roll_back || roll_back;
    return made;
}

decision transaction_assembler::go_on(open_list::iterator open, received&& next) {
    open->ordinals = next.event.at.ordinal;
    const bool last = next.event.last;
    if (open->dropped) {
        if (!last) return plain(decision::outcome::held);
        auto made = plain(decision::outcome::reread);
        made.prefer = preference{open->begins.commit_lsn, open->publisher};
        made.roll_back = in_parts();
        return made;
    }
    open->gathered.bytes += next.bytes;
    open->gathered.events.push_back(std::move(next));
    if (last) {
        const auto& event = open->gathered.events.back().event;
        if (event.end_lsn <= event.at.commit_lsn) {
            return stopped(stop_cause::bad_event,
                           "event " + model::to_string(event.at) + " ends a transaction but does not say where");
        }
        return finish(open);
    }
    if (open->gathered.bytes < most_bytes_) return plain(decision::outcome::held);

    auto made = plain(decision::outcome::ready);
    for (auto& other : open_) {
        if (&other == &*open || !other.parts_handed) continue;
        give_up(other);
        made.roll_back = true;
    }
    made.part = std::exchange(open->gathered, {});
    made.part->begins = !open->parts_handed;
    made.part->ends = false;
    open->parts_handed = true;
    return made;
}

decision transaction_assembler::finish(open_list::iterator open) {
    auto made = plain(decision::outcome::ready);
    made.part = std::move(open->gathered);
    made.part->begins = !open->parts_handed;
    made.part->ends = true;
    const auto& at = made.part->events.back().event.at;
    handed_.end_lsn = made.part->events.back().event.end_lsn;
    handed_.timeline = at.timeline;
    open_.erase(open);
    open_.remove_if([&](const auto& other) {
        // A failover may have cut it off: its rest never comes, and what the new timeline has instead may lie before
        // it.
        if (other.begins.commit_lsn >= handed_.end_lsn && !written_after_it_was_left(other.begins, handed_))
            return false;
        made.roll_back = made.roll_back || other.parts_handed;
        return true;
    });
    if (prefer_ && prefer_->commit_lsn < handed_.end_lsn) prefer_.reset();
    return made;
}

void transaction_assembler::give_up(open_transaction& open) {
    open.dropped = true;
    open.parts_handed = false;
    open.gathered = {};
}

std::int64_t transaction_assembler::next_offset() const {
    std::int64_t next = handed_.next_offset;
    for (const auto& open : open_) next = std::min(next, open.first_offset);
    return next;
}

bool transaction_assembler::in_parts() const {
    return std::any_of(open_.begin(), open_.end(), [](const auto& open) { return open.parts_handed; });
}

std::size_t transaction_assembler::held_bytes() const {
    std::size_t total = 0;
    for (const auto& open : open_) total += open.gathered.bytes;
    return total;
}

transaction_assembler::open_list::iterator transaction_assembler::find(std::uint64_t publisher) {
    return std::find_if(open_.begin(), open_.end(), [&](const auto& open) { return open.publisher == publisher; });
}

}  // namespace crossfade::cdc::consume
