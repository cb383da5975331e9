#pragma once

#include <span>
#include <string>
#include <utility>

#include "lib/settings/settings.hpp"

namespace crossfade::proxy::strategy {

// The tenant of a session by its start-up packet's (name, value) pairs; empty when they name none. For
// tenant_source::parameter a pair of that name counts, else `options` (-c name=value, --name=value), as in PostgreSQL,
// where names don't heed case and the last one wins. `database` falls back to the user, as the server does.
// What a session sets later by SET is not seen.
std::string tenant_of(const settings::tenancy& by, std::span<const std::pair<std::string, std::string>> parameters);

}  // namespace crossfade::proxy::strategy
