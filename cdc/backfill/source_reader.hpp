#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cdc/apply/recent_transactions.hpp"
#include "cdc/backfill/source_table.hpp"
#include "lib/model/lsn.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::backfill {

// A moment of the source, and a table as it is then.
struct view {
    std::string snapshot_text;
    apply::source_snapshot snapshot;
    model::lsn not_newer;  // what the snapshot has was committed before this place in the WAL
    std::unique_ptr<source_table> table;
};

// Reads the source in short transactions, each at a moment of its own, which holds ACCESS SHARE on one table: nobody
// who reads or writes waits for it; TRUNCATE and ALTER TABLE do for as long as a chunk takes, so that none can leave
// the table empty behind the snapshot (https://www.postgresql.org/docs/15/mvcc-caveats.html).
class source_reader {
  public:
    explicit source_reader(std::string dsn) : dsn_(std::move(dsn)) {}

    // Opens the connection where there is none. Fails without an attempt for some seconds after one that failed.
    pgclient::result<void> ready();
    pgclient::connection& db() { return *db_; }

    pgclient::result<std::unique_ptr<source_table>> look_at(const std::string& table);
    // The number of a transaction that begins now: all that can be in the WAL by now have lower ones.
    pgclient::result<std::uint64_t> fence();

    // Begins a transaction. `what`: from look_at(), perhaps of long ago; the view has the table as it is now.
    pgclient::result<view> open(const source_table& what);
    void close();  // does nothing where none is open
    // Drops a connection of which it isn't known what it still does.
    void abandon() { db_.reset(); }

  private:
    pgclient::result<void> connect();

    std::string dsn_;
    std::optional<pgclient::connection> db_;
    std::optional<pgclient::failure> refused_;
    std::chrono::steady_clock::time_point again_at_;
};

}  // namespace crossfade::cdc::backfill
