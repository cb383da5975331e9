#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace crossfade::cdc::apply {

// Which of the source's transactions a snapshot of it has: what pg_current_snapshot() writes, "xmin:xmax:xip,xip,...".
// https://www.postgresql.org/docs/15/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS
class source_snapshot {
  public:
    static std::optional<source_snapshot> parse(std::string_view text);

    // Of a transaction that has ended, by the 32 bits that the WAL has of its number: at most 2^31 transactions away.
    bool has(std::uint32_t xid) const;
    std::uint64_t oldest_running() const { return xmin_; }

  private:
    std::uint64_t xmin_ = 0;
    std::uint64_t xmax_ = 0;
    std::vector<std::uint64_t> running_;  // sorted
};

// The transactions that were applied lately. One can be in the stream before the source's own snapshots have it: its
// commit record is written first, and with synchronous replication it then waits for a standby.
class recent_transactions {
  public:
    // Remembered at most; beyond it they are in doubt.
    static constexpr std::size_t most = 100'000;

    void note(std::uint32_t xid) {
        if (!xids_.empty() && xids_.back() == xid) return;
        if (xids_.size() == most) {
            in_doubt_ = true;
            xids_.clear();
        }
        xids_.push_back(xid);
    }
    // Whether the snapshot has them all; forgets those that it has.
    bool all_in(const source_snapshot& now);
    // Whether there are others that are not known: before this process, or this table, or beyond the bound.
    bool in_doubt() const { return in_doubt_; }
    void doubt() { in_doubt_ = true; }
    // Whoever asks will wait until all have ended that have begun by now.
    void settle_doubt() { in_doubt_ = false; }

  private:
    std::vector<std::uint32_t> xids_;
    bool in_doubt_ = true;
};

}  // namespace crossfade::cdc::apply
