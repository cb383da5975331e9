#include "proxy/capture/linger.hpp"

namespace crossfade::proxy::capture {

void linger::put(clock::time_point now, bool urgent) {
    if (!until_) until_ = now + longest;
    ++events_;
    urgent_ = urgent_ || urgent;
    if (urgent) urgent_at_ = now;
}

bool linger::is_over(clock::time_point now) const {
    return urgent_ || !until_ || events_ >= most_events || now >= *until_;
}

bool linger::calm(clock::time_point now) const {
    return until_ && !urgent_ && (!urgent_at_ || now - *urgent_at_ >= calm_after);
}

void linger::sent() {
    until_.reset();
    events_ = 0;
    urgent_ = false;
}

}  // namespace crossfade::proxy::capture
