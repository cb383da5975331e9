#pragma once

#include <cstddef>

namespace crossfade::sql {

// How often this thread has called operator new.
std::size_t allocations();

}  // namespace crossfade::sql
