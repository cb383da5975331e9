#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/model/change.hpp"
#include "lib/model/lsn.hpp"
#include "lib/model/table_name.hpp"
#include "lib/model/timeline.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::store {

// A row of crossfade.progress.
struct progress {
    // Of a partition, what it has come to and does not go past before others have come so far.
    struct wait {
        model::place at;
        std::int64_t offset = 0;
    };

    std::string topic;
    std::int64_t next_offset = 0;
    std::uint64_t system_identifier = 0;
    std::uint32_t timeline = 0;
    model::lsn commit_lsn;
    std::uint64_t ordinal = 0;  // of the last event, where the stream is ordered by key
    model::lsn end_lsn;
    std::optional<model::source_time> commit_time;
    std::string created_at;                 // timestamptz text
    std::vector<model::timeline_end> left;  // timelines that led to this one, as far as the stream has said it
    std::optional<wait> waits_at = {};      // to be written; not read
};

inline model::place place_of(const progress& at) {
    return {at.commit_lsn, at.ordinal};
}

// Empty when there is none. Fails like any query; 42P01 or 3F000 where `crossfade init` has not run.
pgclient::result<std::optional<progress>> load_progress(pgclient::connection& db, const std::string& stream,
                                                        int partition);

// The partitions that the stream has progress of, in order.
pgclient::result<std::vector<int>> load_partitions(pgclient::connection& db, const std::string& stream);

// Notes progress::left: $1 stream, $2 partition, $3 as text_of_left() has it. Touches one row.
std::string_view note_left_sql();
std::string text_of_left(const std::vector<model::timeline_end>& left);

// The statement that moves progress, and its parameters: $1 next_offset, $2 timeline, $3 commit_lsn, $4 end_lsn, $5
// commit time or null, $6 stream, $7 partition, $8 and $9 the next_offset and commit_lsn that it has to find, $10
// ordinal, $11 to $13 what the partition waits at, or null. Touches one row, or none when another writer was there
// first.
std::string_view advance_sql();
// The same for several partitions, $14 as int[], past an event that all of them wait at: touches as many rows, and
// fewer when one doesn't wait there any more.
std::string_view advance_several_sql();
// The same, failing with `not_advanced` instead of touching no row: for a pipeline whose COMMIT follows it.
std::string_view advance_or_fail_sql();
inline constexpr std::string_view not_advanced = "22012";  // division_by_zero, which the statement provokes
std::vector<pgclient::parameter> advance_parameters(const std::string& stream, int partition, const progress& from,
                                                    const progress& to);

// As the statements take them, int[].
std::string text_of_partitions(const std::vector<std::uint32_t>& partitions);
// Notes what a partition has come to: $1 stream, $2 partition, $3 next_offset and $7 commit_lsn that it has to find (a
// resync may leave the offset as it was), $4 and $5 place, $6 offset. Touches one row, or none when the progress is
// another one.
std::string_view wait_at_sql();
// $1 stream, $2 partition, $3 and $4 a place, $5 partitions as int[], null for all: those of them but this one that
// have not come so far, neither by what is applied nor by what they wait at. One row each, in order.
std::string_view stragglers_sql();

// A row of crossfade.tables.
struct table_state {
    std::string table;  // schema.table
    std::string state;  // new, copying, backfilling, live, stale
    std::optional<model::lsn> copied_lsn;
    std::optional<model::lsn> filled_lsn;  // the source's place when a copy that held the stream was there
    // While backfilling: whether it is copied whole, not chunk by chunk, and the source's snapshot of which it then
    // was.
    bool whole = false;
    std::string snapshot;
    std::optional<model::lsn> settled_lsn;  // once all of it is copied: what was copied is not newer
};
pgclient::result<std::vector<table_state>> load_tables(pgclient::connection& db, const std::string& stream);

// A query ($1 stream) whose one value changes whenever what load_tables() gives does, something is asked of the dead
// letters, or other tables wait for DDL.
std::string_view tables_fingerprint_sql();
// The same for a stream that goes both ways, $2 the one by whose name crossfade.authority has this side: changes, too,
// when this side has become the follower again.
std::string_view tables_and_authority_fingerprint_sql();
// $1 since when a row there that Crossfade has not written is another's, but for the authority; $2 as above: since
// when, with that.
std::string_view follower_since_sql();

// Version of the installed schema; empty when there is none.
pgclient::result<std::optional<int>> installed_version(pgclient::connection& db);

}  // namespace crossfade::store
