#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "lib/model/lsn.hpp"
#include "lib/pgclient/connection.hpp"

// The stream's fixed points, as init and a resync set them.
namespace crossfade::ctl::stream {

struct source_identity {
    std::string system_identifier;
    std::uint32_t timeline = 0;
};

// IDENTIFY_SYSTEM, over a replication connection: the timeline in a checkpoint may be an old one.
source_identity identify(pgclient::connection& replication);

// Creates the stream's slot, as one that standbys take over where the server knows that (PostgreSQL 17), and returns
// its consistent point. Waits for the transactions that run on the server now to
// end, for `patience` at most; throws stop naming how many still run.
model::lsn create_slot(pgclient::connection& legacy, const std::string& name, std::chrono::milliseconds patience);

// Slots that standbys take over, so that a promoted one has them.
inline constexpr int first_with_failover = 170000;

// Makes a slot one of those. Fails with SQLSTATE 55006 while somebody reads it.
pgclient::result<void> enable_failover(pgclient::connection& replication, const std::string& name);

struct exported_snapshot {
    std::string name;          // valid until the next command on the connection that made it, or its end
    model::lsn consistent_at;  // what committed before it is in the snapshot, nothing else is
};

// A snapshot at a known place in the WAL, by way of a temporary slot on `replication`.
exported_snapshot export_snapshot(pgclient::connection& replication, const std::string& slot_name);

}  // namespace crossfade::ctl::stream
