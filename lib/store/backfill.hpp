#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/lsn.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::store {

// So long whoever empties a table of the follower, or locks it, waits behind the commit that says so: proxies whose
// sessions read there go by what they knew of it two seconds ago (docs/adr/0029), and what they have sent by then has
// the third to arrive.
inline constexpr std::chrono::seconds until_known_of{3};

// A row of crossfade.backfills: a table that is copied while the stream runs.
struct backfill {
    enum class stage { asked, copying, catching_up, done };

    std::string table;  // schema.table
    stage now = stage::asked;
    std::string reason;       // why it stands still; empty: it doesn't
    std::string key_columns;  // quoted as in SQL; empty: it is copied whole
    std::string last_key;     // text[] as PostgreSQL writes it; empty: nothing is copied yet
    std::optional<model::lsn> settled_lsn;
    std::int64_t estimated_rows = 0;
    std::int64_t copied_rows = 0;
    std::int64_t copied_bytes = 0;
    std::int64_t max_rate = 0;  // bytes a second; 0: no limit
    std::chrono::milliseconds max_lag{0};
    std::chrono::milliseconds took{0};  // from its beginning to its last step
};
std::string_view to_string(backfill::stage of);

// In the order in which they were asked for. Fails like any query.
pgclient::result<std::vector<backfill>> load_backfills(pgclient::connection& db, const std::string& stream);

}  // namespace crossfade::store
