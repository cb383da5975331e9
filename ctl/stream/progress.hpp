#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ctl/catalog/progress.hpp"
#include "ctl/stream/source.hpp"
#include "lib/model/table_name.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::stream {

// Why a command doesn't go on with what is there.
struct objection {
    std::string what;
    std::string way_out;
};

// The way out where the stream can't go on with what is there.
inline constexpr const char* begin_anew =
    "crossfade backfill --resync, which copies every table and starts the stream anew";

// To progress of other partitions than the stream's topic has by the file: in those a row's changes are not where the
// file looks for them. Pure.
std::optional<objection> object_to_partitions(const settings::stream& stream, const catalog::progress& there);

// Where crossfade-cdc begins: everything that committed at or before `at` counts as applied, reading starts at
// `next_offsets`, which has one for each partition of the topic. Replaces what was there, in one statement.
void set_progress(pgclient::connection& modern, const settings::stream& stream, const source_identity& source,
                  model::lsn at, const std::vector<std::int64_t>& next_offsets);

// The table's changes from now on are left out until it is copied: `since` is legacy's position. What an earlier copy
// of it held says nothing any more.
void mark_new(pgclient::connection& modern, const settings::stream& stream, const model::table_name& table,
              const std::string& since);

}  // namespace crossfade::ctl::stream
