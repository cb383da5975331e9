#include "cdc/consume/partition_sequence.hpp"

#include <algorithm>
#include <utility>

namespace crossfade::cdc::consume {

decision partition_sequence::accept(received next) {
    const auto& event = next.event;
    const auto& at = event.at;
    if (auto foreign = judge_cluster(next, handed_)) return stopped(std::move(*foreign));
    // Before repeats: its LSN may be one that the new timeline has passed.
    if (written_after_it_was_left(at, handed_)) return stopped(of_the_past(event, handed_));

    const auto place = model::place_of(at);
    if (place <= handed_.last) {
        // An LSN that was used twice: a repeat would have the timeline that it had the first time.
        if (at.timeline > handed_.timeline) return stopped(diverged(event, handed_));
        handed_.next_offset = next.offset + 1;
        decision made;
        made.what = decision::outcome::repeat;
        return made;
    }
    if (at.timeline < handed_.timeline) return stopped(of_the_past(event, handed_));
    if (event.publisher == model::resync_publisher) {
        return stopped({stop_cause::missing_events, "every table was copied anew behind " +
                                                        model::to_string(at.commit_lsn) + ", and the follower, at " +
                                                        model::to_string(handed_.last) + ", is from before that"});
    }
    if (!event.partition_previous) {
        return stopped({stop_cause::bad_event,
                        "event " + model::to_string(at) + " is of a stream that is ordered by transaction"});
    }
    if (*event.partition_previous > handed_.last) {
        return stopped({stop_cause::missing_events, "event " + model::to_string(at) + " follows " +
                                                        model::to_string(*event.partition_previous) +
                                                        ", but the follower is at " + model::to_string(handed_.last)});
    }
    if (event.last && event.end_lsn <= at.commit_lsn) {
        return stopped(
            {stop_cause::bad_event, "event " + model::to_string(at) + " ends a transaction but does not say where"});
    }
    // A commit record that begins where the timeline was left is behind it.
    const model::lsn within{handed_.last.commit_lsn.value + (handed_.last.ordinal > 0 ? 1 : 0)};
    const auto applied = std::max(handed_.end_lsn, within);
    if (auto stop = cross_over(event, applied, handed_)) return stopped(std::move(*stop));

    handed_.next_offset = next.offset + 1;
    handed_.last = place;
    handed_.timeline = at.timeline;
    handed_.end_lsn = event.last ? event.end_lsn : std::max(handed_.end_lsn, at.commit_lsn);
    decision made;
    made.what = event.barrier ? decision::outcome::barrier : decision::outcome::ready;
    made.after_others = event.after_others;
    made.part.emplace();
    made.part->bytes = next.bytes;
    made.part->events.push_back(std::move(next));
    return made;
}

}  // namespace crossfade::cdc::consume
