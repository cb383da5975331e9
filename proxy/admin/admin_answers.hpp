#pragma once

#include "lib/program/admin_routes.hpp"
#include "proxy/capture/stream_publisher.hpp"
#include "proxy/frontend/front.hpp"
#include "proxy/mirror/follower_watch.hpp"

namespace crossfade::proxy::admin {

// What the proxy says of itself. Ready means: takes sessions. A stream that stands still is told by its metrics, as
// clients are served all the same. All are used as long as the answers are; `publisher` is null where this proxy
// doesn't publish, and `back`, the way back's, where there is none either.
program::admin_answers answers(frontend::front& front, const capture::stream_publisher* publisher,
                               const capture::stream_publisher* back, const mirror::follower_watch& follower);

}  // namespace crossfade::proxy::admin
