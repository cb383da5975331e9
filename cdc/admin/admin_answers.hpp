#pragma once

#include "cdc/follow/status.hpp"
#include "lib/program/admin_routes.hpp"

namespace crossfade::cdc::admin {

// What crossfade-cdc says of itself. Ready: the program does its job, or could the moment it is let: applying, standby,
// held, completed. Not ready: waiting for a database, the broker or `crossfade init`; stopped; it or the way back. The
// boards are used as long as the answers are; `back` is null where there is no way back.
program::admin_answers answers(const follow::status_board& board, const follow::status_board* back);

}  // namespace crossfade::cdc::admin
