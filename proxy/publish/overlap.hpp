#pragma once

#include <cstdint>
#include <optional>

#include "lib/model/change.hpp"

namespace crossfade::proxy::publish {

// The newest transaction, or heartbeat, that the topic holds whole.
struct last_published {
    // 0/0: not known, nor is xid, of a stream that is ordered by key whose heartbeat says that a transaction ended.
    model::lsn commit_lsn;
    model::lsn end_lsn;  // 0/0: not known, of a row of a stream that is ordered by key
    std::uint32_t xid = 0;
    model::source_time commit_time;

    // Whether a slot that is confirmed to there sends it once more.
    bool comes_behind(model::lsn confirmed) const { return place() >= confirmed; }
    model::lsn place() const { return commit_lsn.value != 0 ? commit_lsn : model::lsn{end_lsn.value - 1}; }
};

// A slot that was confirmed to a place before the topic's end sends what lies between once more, and the last of it at
// the very place where it was. A server that was set back to an older copy of its files, on the same timeline, and has
// written more since, sends something else there: nothing but that tells it.
class overlap {
  public:
    // `expected`: empty where nothing need come again.
    explicit overlap(const std::optional<last_published>& expected) : expected_(expected) {}

    // Whether this event may be published: in the order in which they come. Pure.
    bool admits(const model::change_event& next);

  private:
    std::optional<last_published> expected_;  // until it has come
};

}  // namespace crossfade::proxy::publish
