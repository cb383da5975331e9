#pragma once

#include "lib/settings/section.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::settings {

// The file's section "proxy".
void read_proxy(const section& from, proxy& into);

}  // namespace crossfade::settings
