// The source goes on to another timeline: it was promoted, or recovered. The stream's own events have been judged by
// then; what was copied past the stream has not, because a copy is read from the source and may hold what only the old
// primary had.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "cdc/follow/list.hpp"
#include "cdc/follow/stream_follower.hpp"

namespace crossfade::cdc::follow {

namespace {

// The timelines that led to the new one, as its first event has them. That one is here, or in an earlier part of its
// transaction.
const std::vector<model::timeline_end>* left_in(const std::vector<consume::received>& events, std::uint32_t timeline) {
    for (const auto& each : events) {
        if (each.event.at.timeline <= timeline) continue;
        if (std::ranges::find(each.event.left, timeline, &model::timeline_end::timeline) != each.event.left.end())
            return &each.event.left;
    }
    return nullptr;
}

}  // namespace

std::optional<stream_follower::next_step> stream_follower::cross_timelines(
    apply::applier& applier, const std::vector<consume::received>& events) {
    const auto& from = applier.progress();
    const auto to = events.back().event.at.timeline;
    if (to == from.timeline) return std::nullopt;
    const auto* left = left_in(events, from.timeline);
    if (left == nullptr) return std::nullopt;
    const auto end = std::ranges::find(*left, from.timeline, &model::timeline_end::timeline)->end;
    auto& db = applier.follower();
    const auto beyond =
        db.exec("SELECT table_name FROM crossfade.tables WHERE stream = $1 AND copied_lsn > $2::pg_lsn ORDER BY 1",
                {stream_, model::to_string(end)});
    // Before the batch: a crash between the two begins copies once more, and no copy is left as it was.
    const auto again = db.exec(
        "UPDATE crossfade.backfills SET state = 'asked', reason = NULL, updated_at = now()"
        " WHERE stream = $1 AND state IN ('copying', 'catching_up') RETURNING table_name",
        {stream_});
    // For whoever applies after a restart: what an old primary goes on to write has LSNs that the new one uses, too.
    const auto noted =
        db.exec(std::string{store::note_left_sql()}, {stream_, std::to_string(partition_), store::text_of_left(*left)});
    if (!beyond || !again || !noted) {
        lost(follower_, pgclient::to_string(!beyond ? beyond.error() : !again ? again.error() : noted.error()));
        return next_step::reconnect;
    }
    if (!beyond->empty())
        return stop_stream("the source left timeline " + std::to_string(from.timeline) + " at " +
                               model::to_string(end) +
                               ", and these were copied from what was behind it: " + list_of(*beyond),
                           anew_);
    if (!again->empty())
        spdlog::warn("stream {}: backfills begin anew, as the source has gone on to another timeline: {}", stream_,
                     list_of(*again));
    spdlog::info("stream {}: the source left timeline {} at {} and is on timeline {} now", stream_, from.timeline,
                 model::to_string(end), to);
    return std::nullopt;
}

}  // namespace crossfade::cdc::follow
