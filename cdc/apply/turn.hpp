#pragma once

#include "cdc/apply/careful.hpp"
#include "cdc/apply/session.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::cdc::apply {

// Begins a transaction of the follower's beside those that apply a batch, under the same conditions: no backfill copies
// that holds the stream, and the progress, which is locked, is what `at` says: whoever has moved it is the applier now.
// False: it isn't so, and no transaction is open.
pgclient::result<bool> begin_turn(session& to, const careful_settings& settings, const store::progress& at);

}  // namespace crossfade::cdc::apply
