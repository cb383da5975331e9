#pragma once

#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::flip {

// What `crossfade init` does for a stream both ways when its parts and store::authority_sql() are there, on both sides:
// the first authority (by the file), the fence on each table, enabled on the side that follows. What is there stays.
// Gives what it did, for people. Throws stop where a table can't be had, and where a flip is under way for longer than
// ten seconds, or was left behind.
struct step {
    std::string what;
    std::string outcome;
};
std::vector<step> prepare(const settings::configuration& config, pgclient::connection& legacy,
                          pgclient::connection& modern);

}  // namespace crossfade::ctl::flip
