#include "cdc/follow/status.hpp"

#include <algorithm>

namespace crossfade::cdc::follow {

std::string_view to_string(follower_state of) {
    switch (of) {
        case follower_state::waiting:
            return "waiting";
        case follower_state::standby:
            return "standby";
        case follower_state::held:
            return "held";
        case follower_state::applying:
            return "applying";
        case follower_state::stopped:
            return "stopped";
        case follower_state::completed:
            break;
    }
    return "completed";
}

namespace {

int severity(follower_state of) {
    switch (of) {
        case follower_state::stopped:
            return 4;
        case follower_state::waiting:
            return 3;
        case follower_state::held:
            return 2;
        case follower_state::applying:
            return 1;
        case follower_state::standby:
        case follower_state::completed:
            break;
    }
    return 0;
}

}  // namespace

partition_status sum_up(const std::map<int, partition_status>& partitions) {
    const auto worst =
        std::ranges::max_element(partitions, {}, [](const auto& each) { return severity(each.second.now); });
    auto sum = worst->second;
    if (partitions.size() > 1 && !sum.reason.empty())
        sum.reason = "partition " + std::to_string(worst->first) + ": " + sum.reason;
    for (const auto& [number, each] : partitions) {
        for (const auto& limit : each.limits)
            if (std::ranges::find(sum.limits, limit) == sum.limits.end()) sum.limits.push_back(limit);
        // Another says how far it is.
        if (each.now == follower_state::standby) continue;
        sum.applied_lsn = std::min(sum.applied_lsn, each.applied_lsn);
        if (!each.applied_time || (sum.applied_time && *each.applied_time < *sum.applied_time))
            sum.applied_time = each.applied_time;
        if (each.lag_seconds) sum.lag_seconds = std::max(sum.lag_seconds.value_or(0), *each.lag_seconds);
    }
    return sum;
}

void give_up(follower_status& now) {
    const auto over = [&](partition_status& of) {
        if (of.now == follower_state::standby) return;
        of.now = follower_state::completed;
        of.reason = "the cutover was completed at " + now.completed_at + ": legacy gets nothing any more";
        of.way_out.clear();
        of.lag_seconds = 0;
    };
    over(now);
    for (auto& [number, each] : now.partitions) over(each);
    now.lag_bytes = 0;
    now.retention.reset();
}

}  // namespace crossfade::cdc::follow
