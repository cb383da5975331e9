#include "cdc/follow/stream_follower.hpp"

namespace crossfade::cdc::follow {

std::optional<stream_follower::next_step> stream_follower::copy_tables(apply::applier& applier,
                                                                       backfill::backfiller& copier,
                                                                       std::chrono::milliseconds lag, bool& worked) {
    worked = false;
    // A copy beside the stream needs one place that all of it has come to.
    if (by_key_ || applier.in_transaction()) return std::nullopt;
    auto done = copier.take(applier.progress(), lag);
    if (!done) {
        if (stop_asked_ms_ != 0) return next_step::end;
        lost(follower_, pgclient::to_string(done.error()));
        return next_step::reconnect;
    }
    measured_.backfill(copier.tables(), *done);
    worked = done->worked;
    if (!done->tables_changed) return std::nullopt;
    if (auto loaded = applier.load_tables(); !loaded) {
        lost(follower_, pgclient::to_string(loaded.error()));
        return next_step::reconnect;
    }
    return std::nullopt;
}

}  // namespace crossfade::cdc::follow
