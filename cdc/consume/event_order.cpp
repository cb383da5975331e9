#include "cdc/consume/event_order.hpp"

#include <algorithm>
#include <utility>

namespace crossfade::cdc::consume {

decision stopped(stop why) {
    decision made;
    made.what = decision::outcome::stopped;
    made.why = std::move(why);
    return made;
}

std::optional<stop> judge_cluster(const received& next, const applied_place& at) {
    const auto found = next.event.at.system_identifier;
    if (found == at.system_identifier) return std::nullopt;
    return stop{stop_cause::foreign_cluster, "the event at offset " + std::to_string(next.offset) + " is of cluster " +
                                                 std::to_string(found) + ", the follower's progress of " +
                                                 std::to_string(at.system_identifier)};
}

// Behind the place where the source left it: by a server that should be down.
bool written_after_it_was_left(const model::position& event, const applied_place& at) {
    if (event.timeline >= at.timeline) return false;
    const auto its = std::ranges::find(at.left, event.timeline, &model::timeline_end::timeline);
    return its != at.left.end() && event.commit_lsn >= its->end;
}

stop of_the_past(const model::change_event& event, const applied_place& at) {
    return {stop_cause::older_timeline, "event " + model::to_string(event.at) + " is of timeline " +
                                            std::to_string(event.at.timeline) + ", the follower is on " +
                                            std::to_string(at.timeline)};
}

stop diverged(const model::change_event& event, const applied_place& at) {
    return {stop_cause::diverged, "event " + model::to_string(event.at) + " is of timeline " +
                                      std::to_string(event.at.timeline) +
                                      ", which does not have what is applied, up to " + model::to_string(at.end_lsn) +
                                      " of timeline " + std::to_string(at.timeline)};
}

std::optional<stop> cross_over(const model::change_event& event, model::lsn end, applied_place& at) {
    if (event.at.timeline <= at.timeline) return std::nullopt;
    const auto ours = std::ranges::find(event.left, at.timeline, &model::timeline_end::timeline);
    if (ours == event.left.end() || end > ours->end) return diverged(event, at);
    at.left = event.left;
    return std::nullopt;
}

}  // namespace crossfade::cdc::consume
