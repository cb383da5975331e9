#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/model/table_name.hpp"

// What a proxy leaves on the follower with the rows of a transaction that it has written there itself, before legacy
// has committed it: the receipt, in crossfade.receipts, in the same transaction. Who applies the stream finds it when
// the authority's transaction comes by, checks the rows instead of writing them, and takes the receipt away
// (docs/adr/0022).
namespace crossfade::store {

// A transaction of the authority, as the WAL's Begin and the low half of pg_current_xact_id() name it.
using source_xid = std::uint32_t;

// Which row a receipt is about: a hash of the follower's table and of the key. `key`: the names of the key's columns
// and their values' text, in any order. The same in every program and version that shares a follower.
std::int64_t row_mark(const model::table_name& table,
                      std::span<const std::pair<std::string_view, std::string_view>> key);

// From before the rows are written until the transaction there has ended, its session holds the advisory lock of these
// two keys (int4): who applies waits for the end by asking for it, too.
inline constexpr int mirroring_lock_class = 0x63666d72;  // "cfmr" in ASCII
inline std::int32_t mirroring_lock_id(source_xid transaction) {
    return static_cast<std::int32_t>(transaction);
}

// Takes the lock and leaves the receipt; comes before the rows. $1 stream, $2 the transaction as bigint, $3 the rows'
// marks as bigint[], $4 and $5 the lock's keys.
inline constexpr std::string_view leave_receipt_sql =
    "INSERT INTO crossfade.receipts (stream, xid, keys) SELECT $1::text, $2::bigint, $3::bigint[]"
    " FROM pg_advisory_xact_lock($4::int, $5::int)";
// The two apart, where rows are sent before the transaction ends: the lock before the first of them, $1 and $2 its
// keys; the receipt behind the last, $1 to $3 as above.
inline constexpr std::string_view take_mirroring_lock_sql = "SELECT FROM pg_advisory_xact_lock($1::int, $2::int)";
inline constexpr std::string_view leave_receipt_behind_sql =
    "INSERT INTO crossfade.receipts (stream, xid, keys) VALUES ($1::text, $2::bigint, $3::bigint[])";
// $1 stream, $2 transactions as bigint[]: those of them that have one, which is gone by that, each with every row that
// it is about (or with NULL). Of a transaction's rows not all need be among them: legacy's triggers write others.
inline constexpr std::string_view take_receipts_sql =
    "WITH taken AS (DELETE FROM crossfade.receipts WHERE stream = $1::text AND xid = ANY ($2::bigint[])"
    " RETURNING xid, keys) SELECT xid, key FROM taken LEFT JOIN LATERAL unnest(keys) AS key ON true";
// $1 stream: the marks of all rows that those are about that are left.
inline constexpr std::string_view rows_ahead_sql =
    "SELECT DISTINCT unnest(keys) FROM crossfade.receipts WHERE stream = $1::text";
// $1 stream: whether there is one.
inline constexpr std::string_view any_receipt_sql =
    "SELECT EXISTS (SELECT FROM crossfade.receipts WHERE stream = $1::text)";
// $1 stream: a condition of any table's rows, that a proxy has written them in a transaction whose receipt is there.
// Receipt and rows are of one transaction; rows that tie others (store/ties.hpp) the applier may have written since.
inline constexpr std::string_view is_ahead_sql =
    "xmin IN (SELECT r.xmin FROM crossfade.receipts r WHERE r.stream = $1::text)";
// $1 stream, $2 marks as bigint[], which receipts are no longer to be about.
inline constexpr std::string_view take_rows_back_sql =
    "UPDATE crossfade.receipts SET keys = ARRAY (SELECT key FROM unnest(keys) AS key WHERE key <> ALL ($2::bigint[]))"
    " WHERE stream = $1::text AND keys && $2::bigint[]";

// $1 stream, $2 the most that matters: how many there are.
// Then, of all streams', how many there were that still take room.
inline constexpr std::string_view count_receipts_sql =
    "SELECT count(*), coalesce(pg_stat_get_dead_tuples(to_regclass('crossfade.receipts')), 0)"
    " FROM (SELECT FROM crossfade.receipts WHERE stream = $1::text LIMIT $2::bigint) AS waiting";
// Each lives for a moment, and the table is read as a whole: autovacuum, once a minute, is too late. Where another one
// is at it, or the right is missing, it only warns.
inline constexpr std::string_view clear_receipts_sql = "VACUUM (SKIP_LOCKED, TRUNCATE false) crossfade.receipts";
inline constexpr std::int64_t receipts_worth_clearing = 1000;
// $1 stream: takes away those whose transactions the stream should have come by ten minutes ago, by the source's clock,
// and says how many they were: legacy has lost what it had committed, as a failover to a standby that lags may do.
inline constexpr std::string_view give_up_receipts_sql =
    "WITH given_up AS (DELETE FROM crossfade.receipts r USING crossfade.progress p"
    " WHERE r.stream = $1::text AND p.stream = r.stream AND p.partition = 0"
    " AND r.mirrored_at < p.commit_time - interval '10 minutes' RETURNING r.xid) SELECT count(*) FROM given_up";

}  // namespace crossfade::store
