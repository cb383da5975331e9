#pragma once

#include "lib/pgwire/startup.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::proxy::frontend {

// Where a session goes and what its server is told.
struct route {
    settings::side authority = settings::side::legacy;
    pgwire::startup_message opening;
};

// The client's own start-up message goes on as it is, but for one thing: who asks for legacy's database by its name
// gets modern's, where modern is the authority and names it otherwise.
route route_to(settings::side authority, const settings::configuration& config, pgwire::startup_message from);

}  // namespace crossfade::proxy::frontend
