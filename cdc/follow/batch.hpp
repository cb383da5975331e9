#pragma once

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>
#include <vector>

#include "cdc/follow/stream_follower.hpp"

namespace crossfade::cdc::follow {

// Transactions that wait to be applied together.
struct stream_follower::batch {
    std::vector<consume::received> events;
    std::size_t bytes = 0;
    bool changes = false;  // more than heartbeats
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();

    void add(consume::piece&& part) {
        if (events.empty()) since = std::chrono::steady_clock::now();
        bytes += part.bytes;
        for (auto& each : part.events) {
            if (const auto* beat = std::get_if<model::heartbeat>(&each.event.body))
                each.event.commit_time = time_of(*beat);
            else
                changes = true;
            events.push_back(std::move(each));
        }
    }
    // The progress when all of it is applied, from what it was before; `next_offset` is the first message behind it.
    store::progress advanced(const store::progress& from, std::int64_t next_offset) const {
        const auto& last = events.back().event;
        auto to = from;
        to.next_offset = next_offset;
        to.waits_at.reset();
        to.timeline = last.at.timeline;
        to.commit_lsn = last.at.commit_lsn;
        to.ordinal = last.at.ordinal;
        // In a stream that is ordered by key a batch may end within a transaction.
        to.end_lsn = last.last ? last.end_lsn : std::max(from.end_lsn, last.at.commit_lsn);
        to.commit_time = last.commit_time;
        return to;
    }
    // What one says that isn't the publisher's own may be anything, and whoever may log in to the source can emit one:
    // by a time to come receipts of what is on its way would be given up.
    static model::source_time time_of(const model::heartbeat& beat) {
        const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
        return std::clamp(beat.emitted_at, model::source_time{}, now);
    }
    void clear() {
        events.clear();
        bytes = 0;
        changes = false;
    }
};

}  // namespace crossfade::cdc::follow
