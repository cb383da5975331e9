#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/model/change.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::drift {

// PostgreSQL 18's names (https://www.postgresql.org/docs/18/logical-replication-conflicts.html), and `rejected` for
// what is in the dead letters.
enum class kind {
    insert_exists,
    update_exists,
    update_missing,
    update_origin_differs,
    delete_missing,
    delete_origin_differs,
    multiple_unique_conflicts,
    rejected,
};
std::string_view to_string(kind of);

// What was true when it was recorded. `repaired`: the follower held the authority's row afterwards (or, as the
// authority, none). `suspect`: values that were not in the event may still differ. `confirmed`: it differed.
enum class state { suspect, confirmed, repaired };
std::string_view to_string(state of);

struct record {
    model::table_name table;
    std::string tenant;
    drift::kind what = kind::rejected;
    drift::state now = state::confirmed;
    // Column and value; without a key the row's digest under the name "row_md5".
    std::vector<std::pair<std::string, std::optional<std::string>>> key;
    std::optional<std::vector<std::string>> columns;
    std::optional<std::string> authority_digest;
    std::optional<std::string> follower_digest;
    model::position at;
};

// A letter's hashes of its rows begin with these bits, of what the rows are known by; 0 stands for every row.
inline constexpr int identity_bits = 24;
// SQL: whether letters with these keys may be about one row. What is known by something else can't be compared.
std::string may_share_a_row(const std::string& keys, const std::string& others);

struct dead_letter {
    model::table_name table;
    std::string tenant;
    std::string_view operation;  // insert, update, delete, truncate, ddl
    std::string sqlstate;
    std::string reason;
    std::string event;  // encoded
    std::int64_t offset = 0;
    model::position at;
    std::string_view state;  // refused, behind
    std::vector<std::uint64_t> rows;
};

// Text and parameters of the statement that stores one. A record of the same row and kind is brought up to date and
// counted.
struct stored {
    std::string_view sql;
    std::vector<pgclient::parameter> parameters;
};
stored store(const std::string& stream, const record& what);
// If there is one of the same row and kind, it is repaired now.
stored mend(const std::string& stream, const record& what);
// One that is there already was tried again.
stored store(const std::string& stream, const std::string& topic, int partition, const dead_letter& what);

}  // namespace crossfade::cdc::drift
