#pragma once

#include <cstdint>
#include <string>

#include "ctl/stream/source.hpp"
#include "lib/model/table_name.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::stream {

// Where crossfade-cdc begins: everything that committed at or before `at` counts as applied, reading starts at
// `next_offset`. Replaces what was there; runs in the caller's transaction, if any.
void set_progress(pgclient::connection& modern, const settings::stream& stream, const source_identity& source,
                  model::lsn at, std::int64_t next_offset);

// The table's changes from now on are left out until it is copied: `since` is legacy's position. What an earlier copy
// of it held says nothing any more.
void mark_new(pgclient::connection& modern, const settings::stream& stream, const model::table_name& table,
              const std::string& since);

}  // namespace crossfade::ctl::stream
