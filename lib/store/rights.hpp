#pragma once

#include <functional>
#include <map>
#include <string>

#include "lib/pgclient/connection.hpp"

namespace crossfade::store {

// Of tables and views, by "schema.table": a digest of who may read them, and which rows. The same on two servers where
// roles of the same names may; role memberships, schemas and what a role is besides aren't in it.
using rights_by_table = std::map<std::string, std::string, std::less<>>;

// Fails like any query.
pgclient::result<rights_by_table> load_rights(pgclient::connection& db);

}  // namespace crossfade::store
