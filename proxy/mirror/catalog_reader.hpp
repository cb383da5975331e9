#pragma once

#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "proxy/mirror/table_facts.hpp"

namespace crossfade::proxy::mirror {

// Reads from both sides' catalogs which tables are fit to be mirrored row by row, without their statements.
// `triggers_sleep`: of the follower's triggers only those fire that are ENABLE REPLICA or ALWAYS, as
// session_replication_role is replica.
pgclient::result<std::vector<table_facts>> read_tables(pgclient::connection& legacy, pgclient::connection& modern,
                                                       const std::string& publication, const std::string& stream,
                                                       bool triggers_sleep);

pgclient::result<write_targets> read_write_targets(pgclient::connection& legacy);

}  // namespace crossfade::proxy::mirror
