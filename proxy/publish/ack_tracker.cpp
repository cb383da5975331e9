#include "proxy/publish/ack_tracker.hpp"

namespace crossfade::proxy::publish {

std::uint64_t ack_tracker::produced(model::lsn end_lsn, std::size_t bytes) {
    pending_.push_back({end_lsn, bytes, false});
    ++unacknowledged_events_;
    unacknowledged_bytes_ += bytes;
    if (end_lsn.value != 0) published_ = end_lsn;
    return first_ + pending_.size() - 1;
}

void ack_tracker::acknowledged(std::uint64_t sequence) {
    if (sequence < first_ || sequence - first_ >= pending_.size()) return;
    auto& found = pending_[sequence - first_];
    if (found.acknowledged) return;
    found.acknowledged = true;
    --unacknowledged_events_;
    unacknowledged_bytes_ -= found.bytes;
    while (!pending_.empty() && pending_.front().acknowledged) {
        if (pending_.front().end_lsn.value != 0) confirmed_ = pending_.front().end_lsn;
        pending_.pop_front();
        ++first_;
    }
}

}  // namespace crossfade::proxy::publish
