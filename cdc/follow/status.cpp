#include "cdc/follow/status.hpp"

namespace crossfade::cdc::follow {

std::string_view to_string(follower_state of) {
    switch (of) {
        case follower_state::waiting:
            return "waiting";
        case follower_state::standby:
            return "standby";
        case follower_state::held:
            return "held";
        case follower_state::applying:
            return "applying";
        case follower_state::stopped:
            break;
    }
    return "stopped";
}

}  // namespace crossfade::cdc::follow
