#pragma once

#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::apply {

// Whether a failure is the row's own (its values, or a table that can't take them), so that it goes to the dead letters
// and the rest goes on. Anything else (connection, locks, resources, rights, an internal error) is the follower's: the
// same is tried again later, as nothing says that the next row would fare better.
bool is_row_fault(const pgclient::failure& what);

}  // namespace crossfade::cdc::apply
