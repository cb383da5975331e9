// Batches that are written side by side while the follower is behind.
#include <spdlog/spdlog.h>

#include "cdc/follow/batch.hpp"

namespace crossfade::cdc::follow {

namespace {

using steady = std::chrono::steady_clock;

constexpr unsigned alone_for = 20;                // batches, after one was refused: its cause may go on
constexpr std::chrono::seconds try_again_in{30};  // to open connections that could not be had
constexpr std::chrono::seconds ask_each{5};

}  // namespace

bool stream_follower::still_there(apply::session& session) {
    if (steady::now() - checked_ < ask_each) return true;
    checked_ = steady::now();
    if (auto alive = session.db.exec("SELECT 1"); !alive) {
        lost(follower_, pgclient::to_string(alive.error()));
        return false;
    }
    return true;
}

store::progress stream_follower::place_before_next(const apply::applier& applier) const {
    return lanes_ && !lanes_->empty() ? lanes_->tail() : applier.progress();
}

bool stream_follower::lanes_ready(apply::session& session, const apply::applier& applier, const batch& next) {
    const auto& config = at_start_->config;
    // Another timeline is begun alone.
    if (next.events.back().event.at.timeline != place_before_next(applier).timeline) return false;
    // Partitions are side by side as it is.
    if (by_key_) return false;
    if (config.cdc.apply_connections < 2 || !session.replica_role || steady::now() < lanes_after_) return false;
    if (alone_ > 0) {
        --alone_;
        return false;
    }
    if (lanes_) return true;
    const apply::lanes::settings wanted{
        config.modern.dsn,
        {.stream = stream_, .topic = config.stream.topic(), .partition = partition_, .authority_of = authority_of_},
        in_force_()->config.tenants.column,
        origin_since_,
        config.stream.silence_timeout,
        static_cast<int>(config.cdc.apply_connections)};
    auto opened = apply::lanes::open(wanted, session, [this] { return interrupted(); });
    if (!opened) {
        lanes_after_ = steady::now() + try_again_in;
        spdlog::warn("stream {}: no more connections to apply by (cdc.apply_connections), one goes on alone: {}",
                     stream_, pgclient::to_string(opened.error()));
        return false;
    }
    lanes_ = std::move(*opened);
    return true;
}

std::optional<stream_follower::next_step> stream_follower::hand_on(apply::session& session, apply::applier& applier,
                                                                   apply::scope_filter& scopes, batch& gathered,
                                                                   std::int64_t next_offset) {
    if (!still_there(session)) return next_step::reconnect;
    const auto from = place_before_next(applier);
    auto to = gathered.advanced(from, next_offset);
    lanes_->submit({std::exchange(gathered.events, {}), from, std::move(to)}, scopes.in_force());
    gathered.clear();
    for (auto& each : lanes_->applied()) told(applier, each);
    if (lanes_->troubled()) return settle(applier, scopes);
    return std::nullopt;
}

bool stream_follower::told(apply::applier& applier, apply::lane_outcome& of) {
    if (of.what != apply::lane_outcome::kind::applied) return false;
    applier.moved_to(of.batch.to);
    measured_.side_by_side.Increment();
    book(applier, of.report, of.took);
    return true;
}

std::optional<stream_follower::next_step> stream_follower::settle(apply::applier& applier,
                                                                  apply::scope_filter& scopes) {
    if (!lanes_ || lanes_->empty()) return std::nullopt;
    auto outcomes = lanes_->settle();
    for (auto& each : outcomes) {
        if (told(applier, each)) continue;
        if (each.what == apply::lane_outcome::kind::fenced) {
            spdlog::warn("stream {}: the progress was moved by someone else: it is read again", stream_);
            return next_step::reread;
        }
        if (each.what == apply::lane_outcome::kind::failed) {
            if (stop_asked_ms_ != 0) return next_step::end;
            lost(follower_, pgclient::to_string(*each.why));
            return next_step::reconnect;
        }
        alone_ = alone_for;
        measured_.refused_side_by_side.Increment();
        if (auto step = write(applier, scopes, each.batch.events, each.batch.to)) return step;
    }
    return std::nullopt;
}

}  // namespace crossfade::cdc::follow
