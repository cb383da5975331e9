#pragma once

#include <string>

#include "proxy/capture/stream_publisher.hpp"

namespace crossfade::proxy::capture {

// Why publishing didn't begin, or ended.
struct setback {
    publisher_state state = publisher_state::waiting;
    std::string reason;
    std::string way_out;
    // Of `stopped`: whether for what the topic holds. Otherwise nothing that comes into it mends anything, and what did
    // may be what attempts in vain have left there.
    bool for_the_topic = false;
};

}  // namespace crossfade::proxy::capture
