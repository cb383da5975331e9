#pragma once

#include "ctl/catalog/facts.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::catalog {

// The side that takes the application's writes of a table; both: of some tenants each.
enum class home { legacy, modern, both };
// `of`: the file, of either direction of the stream.
home home_of(const table& which, const settings::assignment& authorities, const settings::configuration& of);

}  // namespace crossfade::ctl::catalog
