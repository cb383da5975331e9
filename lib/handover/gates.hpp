#pragma once

#include <stop_token>

#include "lib/handover/intent.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/preflight/finding.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::handover {

// What a flip of that is to find. `warn`: whoever knows better may overrule it; `fail`: it would lose something, or
// could not come to an end. With `give_up` what is waited for counts as not
// come. Throws trouble where a side can't be asked.
preflight::findings look(const settings::configuration& config, const intent& what, pgclient::connection& legacy,
                         pgclient::connection& modern, const std::stop_token& give_up = {});

// Nothing refuses but what ends without anybody's doing, transactions that have run for long.
bool passes_by_itself(const preflight::findings& found);

}  // namespace crossfade::handover
