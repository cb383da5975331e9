#pragma once

#include "lib/sql/nodes.hpp"
#include "lib/sql/statement.hpp"

namespace crossfade::sql {

// All of a statement but its fingerprint, its place in the text and its rows. The tree has a bounded depth.
statement classify(const PgQuery__Node& node);

}  // namespace crossfade::sql
