#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/lsn.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/flags.hpp"

// Who takes an application's writes, as each of the two databases has it, and the fence that keeps everybody else's out
// (docs/adr/0024). The same on both sides.
namespace crossfade::store {

// Of crossfade.authority.
enum class handover_state {
    settled,  // nothing is under way
    holding,  // proxies hold what is new
    fenced,   // this side refuses clients' writes, and the other doesn't take them yet; may be undone
    handed,   // the other side is the authority, and may not have been opened yet; is to be finished
};
std::string_view to_string(handover_state state);

// A row of crossfade.authority, as its side has it.
struct authority_row {
    std::int64_t epoch = 0;  // the other side's row may be newer: the higher one is right
    settings::assignment authorities;
    handover_state state = handover_state::settled;
    std::optional<model::lsn> fenced_at;  // the stream has all that clients wrote here once it has passed this
    // holding: for how long proxies still hold, if nothing comes of it. Negative: that is over.
    std::optional<std::chrono::milliseconds> holds_for;
    std::chrono::milliseconds unchanged_for{0};
    std::int64_t flip = 0;        // of crossfade.flips, on the side that was the authority when it began
    settings::flag_scope moving;  // while one is under way: what it moves
    // When the cutover was completed, for people; empty: it wasn't, and there is a way back (docs/adr/0032).
    std::string completed_at{};
};

// Makes the tables authority, proxies, flips and others, and the fence's function, in schema crossfade. Idempotent.
//
//   authority   one row a stream: see authority_row. follower_since: when this side last ceased to be the authority, of
//               whatever
//   proxies     one row a proxy that runs: seen_at, and the flip for which it holds, with its sessions at a boundary
//   flips       one row a flip that was begun here: who, why, when, and what became of it
//   file_words  on legacy, one row a scope: what the file last said of it that was heeded
//   sentinel    rows that the gates of a flip send round (docs/adr/0030); a publication of each stream has it
//   fence()     refuses with SQLSTATE XF005, for the trigger crossfade_fence
std::string_view authority_sql();

// Its payload is the stream's name: something in its row has changed.
inline constexpr std::string_view authority_channel = "crossfade.authority";

// Who makes flips, one at a time, holds the advisory lock of these two keys on both sides; on the authority for as long
// as he may decide.
inline constexpr int handover_lock_class = 0x63666f76;  // "cfov" in ASCII
std::vector<pgclient::parameter> handover_lock_key(std::string_view stream);

// $1 stream, $2 the authority: the first row, where there is none.
inline constexpr std::string_view begin_authority_sql =
    "INSERT INTO crossfade.authority (stream, epoch, authority) VALUES ($1::text, 1, $2::text)"
    " ON CONFLICT (stream) DO NOTHING";

// nullopt: none; also where there is no such table.
pgclient::result<std::optional<authority_row>> load_authority(pgclient::connection& db, const std::string& stream);

// The newer of two, either of which may be missing; of two of one epoch the one that knows of the cutover's end.
const authority_row* newer(const std::optional<authority_row>& left, const std::optional<authority_row>& right);

// $1 stream, $2 the proxy's name, $3 the flip for which it holds with all its sessions at a boundary, or null, $4 how
// many sessions are not there yet.
inline constexpr std::string_view report_proxy_sql =
    "INSERT INTO crossfade.proxies (stream, proxy, holds_for, busy) VALUES ($1::text, $2::text, $3::bigint, $4::int)"
    " ON CONFLICT (stream, proxy) DO UPDATE SET seen_at = clock_timestamp(), holds_for = excluded.holds_for,"
    " busy = excluded.busy";
inline constexpr std::string_view forget_proxy_sql =
    "DELETE FROM crossfade.proxies WHERE stream = $1::text AND proxy = $2::text";

// $1 a publication: the oids, `relid`, of the application's tables in it and of the partitions of those that are
// partitioned.
inline constexpr std::string_view stream_tables_sql =
    "SELECT t.relid FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid CROSS JOIN LATERAL"
    " (SELECT r.prrelid::oid AS relid UNION SELECT relid::oid FROM pg_partition_tree(r.prrelid)) t"
    " WHERE p.pubname = $1::name AND r.prrelid IS DISTINCT FROM to_regclass('crossfade.sentinel')";

}  // namespace crossfade::store
