#pragma once

#include <string>
#include <vector>

#include "ctl/check/finding.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::flip {

// What a flip to `to` is to find. `warn`: whoever knows better may say --force; `fail`: it would lose something, or
// could not come to an end.
check::findings look(const settings::configuration& config, settings::side to, pgclient::connection& legacy,
                     pgclient::connection& modern);

}  // namespace crossfade::ctl::flip
