#pragma once

#include <chrono>

namespace crossfade::store {

// By how much a proxy may be behind in what it knows of tables, but for what its own sessions do to them, and for how
// long a COMMIT is held. Until then a row that it has mirrored may be in the wrong columns.
inline constexpr std::chrono::seconds ddl_is_known_within{10};

}  // namespace crossfade::store
