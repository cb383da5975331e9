#pragma once

#include <string>
#include <vector>

#include "lib/model/table_name.hpp"
#include "lib/pgclient/connection.hpp"

// What a transaction of isolation level REPEATABLE READ has to know of a table that it reads.
namespace crossfade::ctl::catalog {

// Whether TRUNCATE, or a form of ALTER TABLE that rewrites it, has gone by behind the snapshot, for which the table, or
// a partition of it, is empty then (https://www.postgresql.org/docs/15/mvcc-caveats.html); or the table of this name is
// another one. Also after VACUUM FULL and CLUSTER, which do no harm. The answer holds for as long as the transaction
// has a lock on the table.
bool emptied_behind(pgclient::connection& in_snapshot, const model::table_name& table);

struct stored_column {
    std::string name;
    std::string type;  // as catalog::column has it

    friend bool operator==(const stored_column&, const stored_column&) = default;
};

// Those that aren't generated, as of the snapshot, in their order. Empty: there was no such table.
std::vector<stored_column> stored_columns(pgclient::connection& in_snapshot, const model::table_name& table);

}  // namespace crossfade::ctl::catalog
