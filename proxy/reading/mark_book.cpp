#include "proxy/reading/mark_book.hpp"

#include <algorithm>

namespace crossfade::proxy::reading {

void mark_book::made(instant asked, std::uint64_t number) {
    if (number <= last_applied_) return has_all_before(asked);
    waiting_.push_back({asked, number});
    if (waiting_.size() > most) waiting_.pop_front();
}

void mark_book::applied(std::uint64_t number) {
    last_applied_ = std::max(last_applied_, number);
    while (!waiting_.empty() && waiting_.front().number <= last_applied_) {
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
    last_applied_ = 0;
}

}  // namespace crossfade::proxy::reading
