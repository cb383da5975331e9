#include "proxy/publish/overlap.hpp"

namespace crossfade::proxy::publish {

bool overlap::admits(const model::change_event& next) {
    if (!expected_) return true;
    if (expected_->end_lsn.value == 0) {
        if (next.at.commit_lsn < expected_->commit_lsn) return true;
        const bool same = next.at.commit_lsn == expected_->commit_lsn && next.xid == expected_->xid &&
                          next.commit_time == expected_->commit_time;
        expected_.reset();
        return same;
    }
    if (next.at.commit_lsn >= expected_->end_lsn) return false;
    if (!next.last || next.end_lsn < expected_->end_lsn) return true;
    const bool begins_alike =
        expected_->commit_lsn.value == 0 || (next.at.commit_lsn == expected_->commit_lsn && next.xid == expected_->xid);
    const bool same = begins_alike && next.end_lsn == expected_->end_lsn && next.commit_time == expected_->commit_time;
    expected_.reset();
    return same;
}

}  // namespace crossfade::proxy::publish
