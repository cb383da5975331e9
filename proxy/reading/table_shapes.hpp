#pragma once

#include <functional>
#include <map>
#include <string>

#include "lib/pgclient/connection.hpp"

namespace crossfade::proxy::reading {

// What a read finds of a table or view, but for the rows: the same on two servers, be they of different versions, where
// an application can't tell them apart by it.
struct table_shape {
    std::string columns;          // a digest of their names and types, in their order, and of how they are generated
    bool has_inheritors = false;  // tables that aren't its partitions, and whose rows are read with its own

    friend bool operator==(const table_shape&, const table_shape&) = default;
};
using table_shapes = std::map<std::string, table_shape, std::less<>>;  // by "schema.table"

// Fails like any query.
pgclient::result<table_shapes> load_shapes(pgclient::connection& db);

}  // namespace crossfade::proxy::reading
