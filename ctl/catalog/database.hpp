#pragma once

#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::catalog {

inline constexpr std::string_view application_name = "crossfade-ctl";

// A session on one of the two databases. Throws stop: unreachable when there is none, naming the side.
pgclient::connection connect(const settings::configuration& config, settings::side side);
pgclient::connection connect_replication(const settings::configuration& config, settings::side side);

// On modern, where `crossfade init` of this version has run; throws stop otherwise, saying so.
pgclient::connection connect_installed(const settings::configuration& config);

// A statement that has to work. Throws stop: unreachable for a lost connection, else no; `doing` says what for.
pgclient::rows ask(pgclient::connection& on, std::string_view doing, const std::string& sql,
                   const std::vector<pgclient::parameter>& parameters = {});

}  // namespace crossfade::ctl::catalog
