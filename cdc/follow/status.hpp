#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cdc/follow/retention.hpp"
#include "lib/model/change.hpp"

namespace crossfade::cdc::follow {

enum class follower_state {
    waiting,  // for the follower, the broker, or `crossfade init`
    standby,  // another crossfade-cdc applies
    held,     // by flags or a backfill: nothing is read
    applying,
    stopped,    // the stream can't go on by itself; set once, ends with the process
    completed,  // the way back was given up (docs/adr/0032): nothing comes any more. By source_watch, for all of it
};
std::string_view to_string(follower_state of);

struct drift_count {
    std::string tenant;
    std::string table;
    std::string kind;
    std::string state;
    std::int64_t rows = 0;
};

// Of one partition of the stream's topic.
struct partition_status {
    follower_state now = follower_state::waiting;
    std::string reason;
    std::string way_out;
    model::lsn applied_lsn;  // everything that ended before is applied
    std::int64_t next_offset = 0;
    std::optional<model::source_time> applied_time;  // by the source's clock
    std::optional<double> lag_seconds;
    std::vector<std::string> limits;  // checks that are off, and why
};

// Of all that this process follows: the worst of their states, with its reason, and the one that is farthest behind.
struct follower_status : partition_status {
    std::map<int, partition_status> partitions;  // empty: none is followed here for now
    std::optional<std::int64_t> lag_bytes;
    std::vector<drift_count> drift;
    std::int64_t dead_letters = 0;
    std::optional<retention_outlook> retention;  // empty: not looked at yet
    std::string completed_at;                    // of a way back that was given up

    // Does its job, or could the moment it is let.
    bool ready() const { return now != follower_state::waiting && now != follower_state::stopped; }
};

// Sums up, of what is known of each partition. Pure.
partition_status sum_up(const std::map<int, partition_status>& partitions);

// Of a way back that was given up: whatever its followers are at is nobody's concern any more, but for who stands by.
// Pure.
void give_up(follower_status& now);

// The status as all threads see it.
class status_board {
  public:
    follower_status read() const {
        const std::lock_guard hold{mutex_};
        auto now = status_;
        if (!now.partitions.empty()) static_cast<partition_status&>(now) = sum_up(now.partitions);
        if (!now.completed_at.empty()) give_up(now);
        return now;
    }
    template <class Change>
    void update(Change change) {
        const std::lock_guard hold{mutex_};
        change(status_);
    }
    template <class Change>
    void update(int partition, Change change) {
        const std::lock_guard hold{mutex_};
        change(status_.partitions[partition]);
    }
    // As read() has it, without all the rest.
    std::optional<double> lag_seconds() const {
        const std::lock_guard hold{mutex_};
        std::optional<double> most;
        if (!status_.completed_at.empty()) return 0;
        for (const auto& [number, each] : status_.partitions) most = std::max(most, each.lag_seconds);
        return most;
    }
    void forget(int partition) {
        const std::lock_guard hold{mutex_};
        status_.partitions.erase(partition);
    }

  private:
    mutable std::mutex mutex_;
    follower_status status_;
};

}  // namespace crossfade::cdc::follow
