#pragma once

#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"

namespace crossfade::handover {

// What a server, its database and its roles say to every session of how values are read and written, and another server
// doesn't take: a locale that its host has not, a time zone, a text search configuration. A session that has it can't
// have it there (docs/adr/0025).
struct unknown_setting {
    std::string name;
    std::string value;
    // Of formats alone: what only its server has said of them a session leaves behind, and goes over.
    bool is_left_behind = false;
};

// By name and value. Tried on `to`, which is in no transaction, and forgotten again. Throws trouble where one can't be
// asked.
std::vector<unknown_setting> unknown_settings(pgclient::connection& from, pgclient::connection& to);

// "lc_numeric de_DE.UTF-8".
std::vector<std::string> texts_of(const std::vector<unknown_setting>& all);

}  // namespace crossfade::handover
