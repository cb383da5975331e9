#pragma once

#include <optional>

#include "lib/settings/settings.hpp"

namespace crossfade::cdc::follow {

// Who has what by the databases: by the newer row, where both can be read; nullopt, where neither can. Nothing is apart
// where `crossfade init` has prepared no flips. Blocking, some seconds at most for each side.
std::optional<settings::assignment> authorities(const settings::configuration& config);

}  // namespace crossfade::cdc::follow
