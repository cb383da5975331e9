#include "cdc/apply/doubtful_times.hpp"

#include <utility>

namespace crossfade::cdc::apply {

namespace {

// By then those that are of another timeline are given up (store::give_up_receipts_sql), clocks that differ and all.
constexpr std::chrono::minutes receipts_are_gone_within{15};

}  // namespace

bool doubtful_times::about(const model::change_event& event, const std::shared_ptr<const model::relation>& rel,
                           std::chrono::milliseconds known_within) {
    if (std::exchange(unknown_, false) || event.at.timeline != timeline_) {
        timeline_ = event.at.timeline;
        since_ = event.commit_time;
    }
    if (tables_.size() >= capacity && !tables_.contains(rel->table)) tables_.clear();
    const auto [at, fresh] = tables_.try_emplace(rel->table, table{rel, event.commit_time});
    auto& known = at->second;
    if (!fresh && known.rel != rel) {
        if (*known.rel != *rel) known.since = event.commit_time;
        known.rel = rel;
    }
    return event.commit_time < known.since + known_within ||
           (since_ && event.commit_time < *since_ + receipts_are_gone_within);
}

}  // namespace crossfade::cdc::apply
