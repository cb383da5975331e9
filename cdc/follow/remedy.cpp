// A stream that has stopped goes on when an operator has set its progress anew: `crossfade backfill --resync`, or
// `crossfade init`.
#include <spdlog/spdlog.h>

#include "cdc/follow/stream_follower.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::follow {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 1s;
constexpr auto alarm = 60s;
constexpr auto patience = 5s;  // for one answer

bool same_place(const store::progress& one, const store::progress& other) {
    return one.topic == other.topic && one.next_offset == other.next_offset &&
           one.system_identifier == other.system_identifier && one.timeline == other.timeline &&
           one.commit_lsn == other.commit_lsn && one.end_lsn == other.end_lsn;
}

}  // namespace

std::string stream_follower::way_out_of(consume::stop_cause cause) const {
    switch (cause) {
        case consume::stop_cause::foreign_cluster:
            return "the source is another cluster than the one that was copied: " + anew_;
        case consume::stop_cause::older_timeline:
            return "the source went back to an older history, or two servers are published: see that one is, then " +
                   anew_;
        case consume::stop_cause::diverged:
            return "the source has lost what was published before its failover, or was restored: " + anew_;
        case consume::stop_cause::missing_events:
        case consume::stop_cause::broken_transaction:
        case consume::stop_cause::bad_event:
            break;
    }
    return "events are missing or damaged in the topic: " + anew_;
}

void stream_follower::wait_for_remedy(const std::stop_token& stopping) {
    using clock = std::chrono::steady_clock;
    pgclient::open_options options;
    options.application_name = "crossfade-cdc";
    options.silence = patience;
    std::optional<pgclient::connection> db;
    auto said_at = clock::now();
    while (!stopping.stop_requested()) {
        wait_.wait(stopping, interval);
        if (clock::now() - said_at >= alarm) {
            said_at = clock::now();
            const auto parts = board_.read().partitions;
            if (const auto own = parts.find(partition_); own != parts.end())
                spdlog::error("stream {}: stopped: {}; {}", named_, own->second.reason, own->second.way_out);
        }
        if (!db) {
            auto opened = pgclient::connection::open(at_start_->config.modern.dsn, options);
            if (!opened) continue;  // it is stopped all the same
            db.emplace(std::move(*opened));
        }
        const auto now = store::load_progress(*db, stream_, partition_);
        if (!now) {
            db.reset();
            continue;
        }
        if (*now && same_place(**now, stopped_at_)) continue;
        spdlog::info("stream {}: progress is another one than where it stopped", stream_);
        return;
    }
}

}  // namespace crossfade::cdc::follow
