#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "ctl/backfill/plan.hpp"
#include "lib/model/lsn.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::ctl::backfill {

// How far a table is; written by the thread that copies, read by the one that shows.
struct table_progress {
    enum class stage {
        waiting,
        copying,
        done,
        failed,
        // legacy truncated or rewrote the table behind the snapshot, or altered it between the plan and the snapshot:
        // to be planned anew, and copied from another one
        overtaken,
    };
    std::atomic<stage> now{stage::waiting};
    std::atomic<std::int64_t> rows{0};
    std::atomic<std::int64_t> bytes{0};
};

enum class replica_role { set, forbidden };
enum class existing_rows { clear, cleared_before };

struct copy_order {
    std::string stream;
    model::lsn consistent_at;  // of the source session's snapshot
    replica_role role = replica_role::set;
    existing_rows existing = existing_rows::clear;
    const std::atomic<bool>& interrupted;
};

// Copies one table in one transaction of `target`: clears it, fills it, writes it down as live with its place in the
// stream. `source` is in a transaction with the exported snapshot, and still is afterwards, without a lock on the
// table. One row is held in memory at a time. Throws stop when it failed or was interrupted; then, and when it was
// overtaken, target is rolled back.
//
// Overtaken: catalog/snapshot.hpp.
void copy_table(const task& what, const copy_order& how, pgclient::connection& source, pgclient::connection& target,
                table_progress& progress);

}  // namespace crossfade::ctl::backfill
