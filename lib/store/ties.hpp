#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/tie.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::store {

// What a database's constraints tie, by the tables' oids; of a partitioned table those of its partitions count, too.
// `tables`: oids, as an array literal. One that has no ties, or isn't there, is left out.
pgclient::result<std::map<std::int64_t, std::vector<model::tie>>> read_ties(pgclient::connection& db,
                                                                            const std::string& tables);

// A FROM item's text, with the columns `oid`, of a table, and `part`, of itself and of its partitions on all levels.
// `tables`: a FROM item whose one column is their oid. Unlike pg_partition_tree() it locks none of them, and so waits
// for nobody who has one locked.
std::string parts_sql(const std::string& tables);
// A subquery's text: the columns that constraints look at by which a row may be in another one's way and which are more
// than the primary key again. Its columns: `oid` of the table, `name` of the column, null for an expression as such,
// and `early`: the constraint is checked at once, and all that it looks at is known. `tables`: as for parts_sql().
std::string tied_columns_sql(const std::string& tables);
// One text, which is another one when such a constraint has come or gone.
inline constexpr std::string_view ties_fingerprint_sql =
    "SELECT count(*) || '/' || coalesce(sum(indexrelid::bigint), 0) FROM pg_index"
    " WHERE (indisunique OR indisexclusion) AND NOT indisprimary AND indrelid >= 16384";

}  // namespace crossfade::store
