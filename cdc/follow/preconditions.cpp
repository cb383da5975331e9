// What has to be so before anything is applied, and may change behind the follower's back.
#include <spdlog/spdlog.h>

#include <numeric>

#include "cdc/follow/batch.hpp"
#include "cdc/follow/stream_follower.hpp"
#include "lib/settings/directions.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::cdc::follow {

bool stream_follower::installed(apply::session& session, store::progress& found) {
    const std::string way_out = "run crossfade init";
    auto version = store::installed_version(session.db);
    if (!version) {
        lost(follower_, pgclient::to_string(version.error()));
        return false;
    }
    if (!*version) {
        enter(follower_state::waiting, "the " + follower_ + " has no schema crossfade", way_out);
        return false;
    }
    if (**version != store::schema_version) {
        enter(follower_state::waiting,
              "schema crossfade is of version " + std::to_string(**version) + ", this program is for " +
                  std::to_string(store::schema_version),
              way_out + " of this version, or use the program of the other");
        return false;
    }
    if (!authority_of_.empty()) {
        auto both_ways = session.db.exec("SELECT to_regclass('crossfade.authority') IS NOT NULL");
        if (!both_ways) {
            lost(follower_, pgclient::to_string(both_ways.error()));
            return false;
        }
        if (!both_ways->boolean(0, 0)) {
            enter(follower_state::waiting, "the " + follower_ + " is not set up for stream.both_ways", way_out);
            return false;
        }
    }
    auto progress = store::load_progress(session.db, stream_, partition_);
    if (!progress) {
        lost(follower_, pgclient::to_string(progress.error()));
        return false;
    }
    if (!*progress) {
        enter(follower_state::waiting, "the " + follower_ + " has no progress of stream " + named_, way_out);
        return false;
    }
    auto partitions = store::load_partitions(session.db, stream_);
    if (!partitions) {
        lost(follower_, pgclient::to_string(partitions.error()));
        return false;
    }
    // A barrier may say "all", and all are those of the file.
    std::vector<int> meant(static_cast<std::size_t>(at_start_->config.stream.topic_partitions()));
    std::iota(meant.begin(), meant.end(), 0);
    if (*partitions != meant) {
        enter(follower_state::waiting,
              "the " + follower_ + " has progress of " + std::to_string(partitions->size()) +
                  " partitions, and the configuration means " + std::to_string(meant.size()),
              "set stream.ordering and stream.partitions back, or delete the topic, then crossfade backfill --resync");
        return false;
    }
    found = std::move(**progress);
    return true;
}

bool stream_follower::may_go_both_ways(const apply::session& session) {
    if (authority_of_.empty()) return true;
    const auto why = session.unfit_both_ways();
    if (why.empty()) return true;
    enter(follower_state::waiting, "stream.both_ways: " + why,
          "give the role of " + settings::follower_dsn(at_start_->config) +
              " what `crossfade check` says it lacks; where all origins are taken, raise max_replication_slots "
              "(max_active_replication_origins from PostgreSQL 18 on)");
    return false;
}

bool stream_follower::elected(const std::stop_token& stopping, apply::session& session) {
    while (!stopping.stop_requested()) {
        auto got = session.db.exec(
            "SELECT pg_try_advisory_lock($1::int, $2::int)",
            by_key_ ? store::partition_lock_key(stream_, partition_) : store::lock_key(store::lock::applying, stream_));
        if (!got) {
            lost(follower_, pgclient::to_string(got.error()));
            return false;
        }
        if (got->boolean(0, 0)) return true;
        stand_by();
        backoff_.reset();
        wait_.wait(stopping, std::chrono::milliseconds{250});
    }
    return false;
}

// How far the stream is, only who applies it knows.
void stream_follower::stand_by() {
    enter(follower_state::standby,
          "another crossfade-cdc applies this " + std::string{by_key_ ? "partition" : "stream"});
    board_.update(partition_, [](partition_status& status) {
        status.applied_time.reset();
        status.lag_seconds.reset();
    });
    held_bytes_.set(0);
    read_ahead_.set(0);
}

bool stream_follower::backfill_in_the_way(apply::session& session) {
    auto free = session.db.exec(std::string{store::try_share_sql}, store::lock_key(store::lock::backfilling, stream_));
    if (free && !free->boolean(0, 0)) {
        enter(follower_state::held, "a backfill is copying");
        return true;
    }
    auto tables = store::load_tables(session.db, stream_);
    if (!free || !tables) return false;  // the next query says what is wrong
    for (const auto& table : *tables) {
        if (table.state != "copying") continue;
        enter(follower_state::held, "a backfill of " + table.table + " began and has not finished",
              "run crossfade backfill again");
        return true;
    }
    return false;
}

// What is written where somebody has set the progress anew is fenced. But behind a resync onto an older place of the
// same timeline all is taken for repeats, and nothing is written.
std::optional<stream_follower::next_step> stream_follower::look_whether_moved(apply::applier& applier,
                                                                              apply::scope_filter& scopes,
                                                                              const batch& gathered) {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_ < std::chrono::seconds{1} || !gathered.events.empty() || applier.in_transaction())
        return std::nullopt;
    if (auto step = settle(applier, scopes)) return step;
    looked_ = now;
    auto there = store::load_progress(applier.follower(), stream_, partition_);
    if (!there) {
        lost(follower_, pgclient::to_string(there.error()));
        return next_step::reconnect;
    }
    const auto& ours = applier.progress();
    if (*there && (*there)->next_offset == ours.next_offset && (*there)->end_lsn == ours.end_lsn &&
        store::place_of(**there) == store::place_of(ours))
        return std::nullopt;
    spdlog::warn("stream {}: the progress was moved by someone else: it is read again", named_);
    return next_step::reread;
}

}  // namespace crossfade::cdc::follow
