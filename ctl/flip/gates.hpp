#pragma once

#include <string>
#include <vector>

#include "ctl/check/finding.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::flip {

// What is to change hands, and how it is now.
struct intent {
    settings::side to = settings::side::modern;
    settings::flag_scope scope;
    settings::assignment before;

    settings::assignment after() const { return before.with(scope, to); }
};

// What such a flip is to find. `warn`: whoever knows better may say --force; `fail`: it would lose something, or
// could not come to an end.
check::findings look(const settings::configuration& config, const intent& what, pgclient::connection& legacy,
                     pgclient::connection& modern);

}  // namespace crossfade::ctl::flip
