#pragma once

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::status {

// `crossfade status`: both programs and both databases on one screen.
// no: something needs a hand. unreachable: a part did not answer; the others are shown.
exit_code run(const context& in);

}  // namespace crossfade::ctl::status
