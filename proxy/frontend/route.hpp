#pragma once

#include "lib/pgwire/startup.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::proxy::frontend {

// Where a session goes and what its server is told.
struct route {
    settings::side authority = settings::side::legacy;
    pgwire::startup_message opening;
};

// What a client asks for, as the side names it: the database that moves has a name of its own on each, and others have
// the name that they are asked for by.
std::string_view database_at(settings::side which, const settings::configuration& config, std::string_view asked_for);

// Likewise back: what an operator means by legacy's name, whichever name the client uses. Rules, limits and pauses go
// by it.
std::string_view same_database(const settings::configuration& config, std::string_view asked_for);

// Whether it is the database that moves, by either of its names. A server may have others; those are legacy's.
bool moves(const settings::configuration& config, std::string_view asked_for);

// The client's own start-up message goes on as it is, but for the database's name.
route route_to(settings::side authority, const settings::configuration& config, pgwire::startup_message from);

// A walsender, which speaks a protocol of its own.
bool wants_replication(const pgwire::startup_message& opening);

}  // namespace crossfade::proxy::frontend
