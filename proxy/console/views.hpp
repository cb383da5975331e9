#pragma once

#include <span>

#include "proxy/console/provider.hpp"
#include "proxy/console/table.hpp"

namespace crossfade::proxy::console {

// The columns of a SHOW, which docs/console.md explains one by one. They are what they are before anything was asked,
// so that a prepared statement can be described.
std::span<const column> columns_of(subject what);

// The rows. Pure: whatever is to be shown is in `from`. Secrets of the configuration are not.
std::vector<row> rows_of(subject what, const facts& from);

// What SHOW HELP lists, which needs no facts.
std::vector<row> help_rows();

}  // namespace crossfade::proxy::console
