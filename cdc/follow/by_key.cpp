// One of many partitions, of a stream that is ordered by key: what ties its rows to those of the others
// (docs/adr/0020). The partitions meet in crossfade.progress.
#include <spdlog/spdlog.h>

#include <numeric>

#include "cdc/consume/partition_sequence.hpp"
#include "cdc/follow/batch.hpp"
#include "cdc/follow/list.hpp"
#include "lib/failpoint/failpoint.hpp"

namespace crossfade::cdc::follow {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

// Between questions: at first none, as the others are likely to be at it, and a question itself takes a while.
constexpr auto at_once_for = 5ms;
constexpr auto quick_look = 1ms;
constexpr auto quick_for = 300ms;
constexpr auto slow_look = 50ms;
constexpr auto said_after = 3s;

}  // namespace

class stream_follower::waiting_at {
  public:
    explicit waiting_at(stream_follower& whose) : whose_(whose) {}
    ~waiting_at() {
        const std::chrono::duration<double> waited = steady::now() - since_;
        whose_.measured_.waited_for_others.Increment(waited.count());
        if (said_) whose_.enter(follower_state::applying);
    }
    waiting_at(const waiting_at&) = delete;
    waiting_at& operator=(const waiting_at&) = delete;

    // False: the follower is to stop.
    bool wait(const std::string& what_for) {
        if (whose_.stop_asked_ms_ != 0) return false;
        const auto waited = steady::now() - since_;
        if (waited > said_after) {
            said_ = true;
            whose_.enter(follower_state::held, what_for,
                         "see that somebody follows them, and their states: kafka-consumer-groups.sh --describe --group"
                         " crossfade-" +
                             whose_.stream_ + ", and GET /api/v1/status of each crossfade-cdc");
        }
        if (waited > at_once_for) whose_.wait_.wait({}, waited < quick_for ? quick_look : slow_look);
        return whose_.stop_asked_ms_ == 0;
    }

  private:
    stream_follower& whose_;
    steady::time_point since_ = steady::now();
    bool said_ = false;
};

std::size_t stream_follower::read_ahead_limit() const {
    constexpr std::size_t least = std::size_t{64} << 10;
    const auto& config = at_start_->config;
    return std::max(config.cdc.batch_bytes / static_cast<std::size_t>(config.stream.topic_partitions()), least);
}

bool stream_follower::may_follow_by_key(const apply::session& session) {
    if (session.replica_role) return true;
    enter(follower_state::waiting,
          "no right to set session_replication_role: foreign keys would fire between rows of different partitions",
          "GRANT SET ON PARAMETER session_replication_role TO the role of modern.dsn, or stream.ordering: transaction");
    return false;
}

std::unique_ptr<consume::event_order> stream_follower::make_order(const store::progress& from,
                                                                  std::optional<consume::preference> prefer) const {
    consume::applied_place place{from.system_identifier, from.timeline, from.end_lsn,
                                 from.next_offset,       from.left,     store::place_of(from)};
    if (by_key_) return std::make_unique<consume::partition_sequence>(std::move(place));
    return std::make_unique<consume::transaction_assembler>(std::move(place), at_start_->config.cdc.batch_bytes,
                                                            prefer);
}

// With what comes before it, in one transaction, if there is something.
std::optional<stream_follower::next_step> stream_follower::arrive(apply::applier& applier, apply::scope_filter& scopes,
                                                                  batch& gathered, const consume::received& event,
                                                                  const model::place& place) {
    if (!gathered.events.empty()) {
        auto advance = gathered.advanced(applier.progress(), event.offset);
        advance.waits_at = store::progress::wait{place, event.offset};
        auto step = write(applier, scopes, gathered.events, advance);
        gathered.clear();
        if (step) return step;
    } else {
        auto noted = applier.follower().exec(
            std::string{store::wait_at_sql()},
            {stream_, std::to_string(partition_), std::to_string(applier.progress().next_offset),
             model::to_string(place.commit_lsn), std::to_string(place.ordinal), std::to_string(event.offset),
             model::to_string(applier.progress().commit_lsn)});
        if (!noted) {
            lost(follower_, pgclient::to_string(noted.error()));
            return next_step::reconnect;
        }
        if (noted->affected() != 1) return next_step::reread;
    }
    failpoint::pass("partitions.waiting");
    return std::nullopt;
}

std::optional<stream_follower::next_step> stream_follower::wait_for_others(apply::applier& applier,
                                                                           const model::place& place,
                                                                           const std::vector<std::uint32_t>& which) {
    const auto wanted = which.empty() ? pgclient::parameter{} : pgclient::parameter{store::text_of_partitions(which)};
    waiting_at waiting{*this};
    for (;;) {
        auto behind = applier.follower().exec(std::string{store::stragglers_sql()},
                                              {stream_, std::to_string(partition_), model::to_string(place.commit_lsn),
                                               std::to_string(place.ordinal), wanted});
        if (!behind) {
            lost(follower_, pgclient::to_string(behind.error()));
            return next_step::reconnect;
        }
        if (behind->empty()) return std::nullopt;
        if (!waiting.wait("waits until partitions " + list_of(*behind) + " have come to " + model::to_string(place)))
            return next_step::end;
    }
}

std::optional<stream_follower::next_step> stream_follower::wait_for_leader(apply::applier& applier,
                                                                           const model::place& place) {
    waiting_at waiting{*this};
    for (;;) {
        auto now = store::load_progress(applier.follower(), stream_, partition_);
        if (!now) {
            lost(follower_, pgclient::to_string(now.error()));
            return next_step::reconnect;
        }
        if (!*now) return next_step::reread;
        if ((*now)->next_offset != applier.progress().next_offset) {
            if (store::place_of(**now) != place) return next_step::reread;
            applier.moved_to(std::move(**now));
            publish_place(applier.progress());
            return std::nullopt;
        }
        // Set anew by a resync, which has removed the note of this wait, too.
        if (store::place_of(**now) != store::place_of(applier.progress())) return next_step::reread;
        if (!waiting.wait("waits until the other partitions that it is about have come to " + model::to_string(place)))
            return next_step::end;
    }
}

std::optional<stream_follower::next_step> stream_follower::pass_barrier(apply::applier& applier,
                                                                        apply::scope_filter& scopes, batch& gathered,
                                                                        const consume::received& event) {
    const auto place = model::place_of(event.event.at);
    auto which = event.event.barrier_partitions;
    if (which.empty()) {
        which.resize(at_start_->config.stream.partitions);
        std::iota(which.begin(), which.end(), 0U);
    }
    if (std::ranges::find(which, static_cast<std::uint32_t>(partition_)) == which.end()) {
        if (auto step = flush(applier, scopes, gathered, event.offset)) return step;
        return stop_stream("event " + model::to_string(event.event.at) + " is of other partitions than this one",
                           way_out_of(consume::stop_cause::bad_event));
    }
    if (auto step = arrive(applier, scopes, gathered, event, place)) return step;
    if (which.front() != static_cast<std::uint32_t>(partition_)) {
        if (auto step = cross_timelines(applier, {event})) return step;
        if (auto step = wait_for_leader(applier, place)) return step;
        return look_at_others_letters(applier, event);
    }
    if (auto step = wait_for_others(applier, place, which)) return step;
    if (auto step = look_at_others_letters(applier, event)) return step;

    batch alone;
    alone.add(consume::piece{{event}, event.bytes});
    const auto advance = alone.advanced(applier.progress(), event.offset + 1);
    if (auto step = write(applier, scopes, alone.events, advance, which)) return step;
    failpoint::pass("partitions.passed");
    measured_.barriers.Increment();
    return std::nullopt;
}

// Rows may have gone over that wait behind a dead letter of another partition; DDL may have changed more than that.
std::optional<stream_follower::next_step> stream_follower::look_at_others_letters(apply::applier& applier,
                                                                                  const consume::received& event) {
    // Not the newest id: one with a smaller id may be committed after it.
    auto there = applier.follower().exec(
        "SELECT count(*)::text || ' ' || coalesce(sum(id), 0)::text FROM crossfade.dead_letters", {});
    if (!there) {
        lost(follower_, pgclient::to_string(there.error()));
        return next_step::reconnect;
    }
    std::string seen{there->text(0, 0)};
    const bool news = letters_seen_ != seen;
    letters_seen_ = std::move(seen);
    if (news) applier.look_again();
    if (std::holds_alternative<model::logical_message>(event.event.body)) applier.begin_anew();
    return std::nullopt;
}

std::optional<stream_follower::next_step> stream_follower::heed_others(apply::applier& applier,
                                                                       apply::scope_filter& scopes, batch& gathered,
                                                                       const consume::received& event,
                                                                       const model::place& place) {
    if (place <= others_at_) return std::nullopt;
    // Not at a barrier itself: its leader would pass it for those that wait there.
    const auto here = event.event.barrier ? place : model::place_of(event.event.at);
    if (auto step = arrive(applier, scopes, gathered, event, here)) return step;
    if (auto step = wait_for_others(applier, place, {})) return step;
    others_at_ = place;
    // What is divided in another way now may wait behind a dead letter of a partition that had it before.
    return look_at_others_letters(applier, event);
}

}  // namespace crossfade::cdc::follow
