#pragma once

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::check {

// `crossfade check`: asks both databases and Kafka, changes nothing.
// fine: no finding fails. no: one does. unreachable: a side or Kafka could not be asked.
exit_code run(const context& in);

}  // namespace crossfade::ctl::check
