#pragma once

#include <atomic>
#include <chrono>
#include <limits>

namespace crossfade::proxy::frontend {

// For how long what is known of who is the authority holds good. A proxy that was stopped, and goes on, would send
// statements where nobody takes them any more before it has heard of a flip: nothing begins for a moment when it is
// over, until the watch has looked. Nobody waits for it for longer than `patience`: the fence is what makes it right.
// Thread-safe.
class authority_lease {
  public:
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds patience{1000};

    // Whether somebody may wait for it.
    bool renew(clock::time_point until) {
        until_.store(until.time_since_epoch().count(), std::memory_order_release);
        return over_since_.exchange(0, std::memory_order_acq_rel) != 0;
    }
    // Whether a transaction may not begin now. Without any renewal it never is.
    bool keeps_waiting() {
        const auto until = until_.load(std::memory_order_acquire);
        if (until == never) return false;
        const auto now = clock::now().time_since_epoch().count();
        if (now < until) return false;
        clock::rep since = 0;
        if (over_since_.compare_exchange_strong(since, now, std::memory_order_acq_rel)) since = now;
        return clock::duration{now - since} < patience;
    }
    // Whether those who waited need not any more, although nobody has renewed it.
    bool patience_is_over() const {
        const auto since = over_since_.load(std::memory_order_acquire);
        return since != 0 && clock::now().time_since_epoch() - clock::duration{since} >= patience;
    }

  private:
    static constexpr clock::rep never = std::numeric_limits<clock::rep>::max();

    std::atomic<clock::rep> until_{never};
    std::atomic<clock::rep> over_since_{0};  // 0: nobody has found it over
};

}  // namespace crossfade::proxy::frontend
