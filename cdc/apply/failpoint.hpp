#pragma once

#include <string_view>

namespace crossfade::cdc::apply {

// A named place where a test can have the process killed, as by kill -9: CROSSFADE_FAILPOINT=name, or name:n for the
// n-th time it is passed. Without the variable it costs one comparison. Names:
//   apply.begun      the follower's transaction is open
//   apply.written    the rows are written, COMMIT is not sent
//   apply.committed  COMMIT is answered
//   apply.part       a part of a large transaction is written
//   letters.sent     dead letters are in the topic, and not yet marked as such
void failpoint(std::string_view name);

}  // namespace crossfade::cdc::apply
