#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/model/tie.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::store {

// What a database's constraints tie, by the tables' oids; of a partitioned table those of its partitions count, too.
// `tables`: oids, as an array literal. One that has no ties, or isn't there, is left out.
pgclient::result<std::map<std::int64_t, std::vector<model::tie>>> read_ties(pgclient::connection& db,
                                                                            const std::string& tables);

}  // namespace crossfade::store
