#pragma once

#include <string>

#include "proxy/capture/stream_publisher.hpp"

namespace crossfade::proxy::capture {

// Why publishing didn't begin, or ended.
struct setback {
    publisher_state state = publisher_state::waiting;
    std::string reason;
    std::string way_out;
};

}  // namespace crossfade::proxy::capture
