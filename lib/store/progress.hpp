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
    std::string topic;
    std::int64_t next_offset = 0;
    std::uint64_t system_identifier = 0;
    std::uint32_t timeline = 0;
    model::lsn commit_lsn;
    model::lsn end_lsn;
    std::optional<model::source_time> commit_time;
    std::string created_at;                 // timestamptz text
    std::vector<model::timeline_end> left;  // timelines that led to this one, as far as the stream has said it
};

// Empty when there is none. Fails like any query; 42P01 or 3F000 where `crossfade init` has not run.
pgclient::result<std::optional<progress>> load_progress(pgclient::connection& db, const std::string& stream,
                                                        int partition);

// Notes progress::left: $1 stream, $2 partition, $3 as text_of_left() has it. Touches one row.
std::string_view note_left_sql();
std::string text_of_left(const std::vector<model::timeline_end>& left);

// The statement that moves progress, and its parameters: $1 next_offset, $2 timeline, $3 commit_lsn, $4 end_lsn, $5
// commit time or null, $6 stream, $7 partition, $8 and $9 the next_offset and commit_lsn that it has to find. Touches
// one row, or none when another writer was there first.
std::string_view advance_sql();
// The same, failing with `not_advanced` instead of touching no row: for a pipeline whose COMMIT follows it.
std::string_view advance_or_fail_sql();
inline constexpr std::string_view not_advanced = "22012";  // division_by_zero, which the statement provokes
std::vector<pgclient::parameter> advance_parameters(const std::string& stream, int partition, const progress& from,
                                                    const progress& to);

// A row of crossfade.tables.
struct table_state {
    std::string table;  // schema.table
    std::string state;  // new, copying, backfilling, live, stale
    std::optional<model::lsn> copied_lsn;
    // While backfilling: whether it is copied whole, not chunk by chunk, and the source's snapshot of which it then
    // was.
    bool whole = false;
    std::string snapshot;
    std::optional<model::lsn> settled_lsn;  // once all of it is copied: what was copied is not newer
};
pgclient::result<std::vector<table_state>> load_tables(pgclient::connection& db, const std::string& stream);

// A query ($1 stream) whose one value changes whenever what load_tables() gives does, or something is asked of the dead
// letters.
std::string_view tables_fingerprint_sql();

// Version of the installed schema; empty when there is none.
pgclient::result<std::optional<int>> installed_version(pgclient::connection& db);

}  // namespace crossfade::store
