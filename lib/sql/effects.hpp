#pragma once

#include "lib/sql/effect.hpp"
#include "lib/sql/nodes.hpp"

namespace crossfade::sql {

// Of a statement that controls the transaction or the session; none for others, and for PREPARE, whose own needs the
// statement that it prepares.
session_effect effect_of(const PgQuery__Node& statement);

}  // namespace crossfade::sql
