#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"
#include "proxy/capture/setback.hpp"

namespace crossfade::proxy::capture {

// The WAL that the source keeps for the stream's slot, at one moment.
struct kept_wal {
    std::uint64_t bytes = 0;
    std::string status;                 // wal_status: reserved, extended, unreserved, lost
    std::optional<std::uint64_t> left;  // until max_slot_wal_keep_size takes it away; empty: it is not limited
    std::string invalidation;           // why it is lost (PostgreSQL 17)
    double idle_seconds = 0;            // since nobody reads the slot (PostgreSQL 17)
    int reader = 0;                     // the server process that reads the slot; 0: nobody does
};

// The question, and its answer: empty without a slot, and on a standby.
std::string kept_wal_query(const settings::stream& stream);
std::optional<kept_wal> read_kept_wal(const pgclient::rows& answer);

// What is wrong with it; an empty reason: nothing. Pure.
struct wal_warning {
    std::string reason;
    std::string way_out;
    bool over_budget = false;

    friend bool operator==(const wal_warning&, const wal_warning&) = default;
};
wal_warning judge_wal(const kept_wal& of, const settings::configuration& config);

// What becomes of a publisher whose slot was dropped for its budget.
setback dropped(const kept_wal& of, const settings::configuration& config);

}  // namespace crossfade::proxy::capture
