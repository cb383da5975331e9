#pragma once

#include "lib/settings/console.hpp"
#include "lib/settings/section.hpp"

namespace crossfade::settings {

// Reads the section proxy.console into what holds the defaults.
void read_console(const section& from, console& into);

}  // namespace crossfade::settings
