#include "proxy/reading/mark_book.hpp"

#include <algorithm>

namespace crossfade::proxy::reading {

void mark_book::made(instant asked, model::lsn at) {
    // A server that has taken another's place may count from further back, and the marks there are lost with it.
    if (!waiting_.empty() && at <= waiting_.back().at) waiting_.clear();
    if (last_heard_ >= asked && at <= last_applied_) return has_all_before(asked);
    waiting_.push_back({asked, at});
    if (waiting_.size() > most) waiting_.pop_front();
}

void mark_book::applied(model::lsn up_to, instant heard) {
    last_applied_ = up_to;
    last_heard_ = heard;
    while (!waiting_.empty() && waiting_.front().at <= up_to) {
        has_all_before(waiting_.front().asked);
        waiting_.pop_front();
    }
}

void mark_book::has_all_before(instant asked) {
    fresh_to_ = std::max(fresh_to_.value_or(instant::min()), asked);
}

void mark_book::forget() {
    waiting_.clear();
    fresh_to_.reset();
    last_heard_ = instant::min();
}

}  // namespace crossfade::proxy::reading
