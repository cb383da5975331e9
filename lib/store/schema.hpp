#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/pgclient/connection.hpp"

namespace crossfade::store {

// Crossfade's durable state in a database: schema `crossfade`. Idempotent DDL, run by `crossfade init` on the
// modern side. Tables:
//
//   progress      one row a stream and partition: how far the follower is. Written in the transaction that applies
//                 the rows, and only while it still holds what the writer expects (fencing).
//   tables        per table: copied_lsn (changes committed before it are in the copy), and its state ('new': has
//                 joined the stream and was never copied, so that its changes are left out; 'copying': a backfill that
//                 holds the stream began and has not finished; 'backfilling': one beside the stream; 'live'; 'stale':
//                 changes were left out under legacy-only since stale_since)
//   backfills     how far the copies beside the stream are
//   refetch       rows that these have to copy once more
//   drift         one row a stream, table, key and kind: differences found
//   dead_letters  events that could not be applied, with the reason, and those that wait behind them
//   ddl           DDL of legacy that the stream has come by, and what was done about it
//   ddl_seals     secrets that show that a message about DDL is legacy's own (ddl_watch.hpp)
//   receipts      transactions that proxies have written to the follower themselves (receipts.hpp)
std::string_view schema_sql();

// Version that schema_sql() installs; kept in crossfade.meta. A program refuses to run on another one.
inline constexpr int schema_version = 7;

// The advisory lock (two int4 keys: pg_advisory_lock(class, id)) by which the follower's writers exclude each other.
// class: "cfad" in ASCII. The one crossfade-cdc that applies holds `applying` for as long as it lives; a backfill holds
// `backfilling` exclusively while it copies, and the applier takes it shared in each of its transactions.
inline constexpr int lock_class = 0x63666164;
// `dead_letters` whoever brings them to their topic, where several may.
enum class lock : int { applying = 1, backfilling = 2, dead_letters = 3 };

// The second key: the lock and the stream's name hashed together.
int lock_id(lock which, std::string_view stream);

// Both keys, as parameters $1 and $2.
std::vector<pgclient::parameter> lock_key(lock which, std::string_view stream);
// `applying` one partition of a stream that is ordered by key.
std::vector<pgclient::parameter> partition_lock_key(std::string_view stream, int partition);

// Takes the lock for a transaction beside others who share it, or says false at once.
inline constexpr std::string_view try_share_sql = "SELECT pg_try_advisory_xact_lock_shared($1::int, $2::int)";

// Replication origins that mark what Crossfade itself writes to the follower (pg_replication_origin_create).
// One a connection that writes, as PostgreSQL 15 lets a session alone use an origin: "crossfade_<stream>_<n>". 0 is the
// applier, from 1 are the connections of a backfill, from `first_lane` those that write side by side, from
// `first_partition` the appliers of a stream that is ordered by key, from `first_mirror` the proxies' that mirror.
inline constexpr int first_lane = 101;
inline constexpr int first_partition = 1000;
inline constexpr int first_mirror = 10000;
std::string origin_name(std::string_view stream, int writer);
// Whether that is the name of one of the stream's: another stream's may begin with the same words.
bool is_origin_of(std::string_view stream, std::string_view name);
// $1 its name: makes it where it isn't there. Another session may do so at the same moment: 23505.
inline constexpr std::string_view make_origin_sql =
    "SELECT pg_replication_origin_create($1) WHERE NOT EXISTS"
    " (SELECT FROM pg_replication_origin WHERE roname = $1)";

// For sessions that bring rows to a follower: a commit that a crash there loses takes its progress, or its receipt,
// with it, so the stream brings it again, and nobody has to wait for its flush. Who wants it flushed has said so for
// Crossfade's role there, by ALTER ROLE.
inline constexpr std::string_view do_not_flush_sql =
    "SELECT set_config(name, 'off', false) FROM pg_settings"
    " WHERE name = 'synchronous_commit' AND source NOT IN ('user', 'database user', 'client')";

}  // namespace crossfade::store
