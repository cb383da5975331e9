#pragma once

#include <array>
#include <chrono>

namespace crossfade::proxy::frontend {

// Whether a loop should ask for what comes next without sleeping. To wake a processor that sleeps takes as long as all
// that a proxy does for a short statement; to keep one awake is worth it only while the loop serves one session, whose
// other side answers soon.
class busy_poll {
  public:
    using duration = std::chrono::steady_clock::duration;

    // At most so long before each wait; 0: never.
    void allow(duration most) { most_ = most; }
    // How long to ask before the next wait; 0: sleep at once.
    duration worth() const { return alone_ && soon_[last_of_server_] ? most_ : duration::zero(); }
    bool allowed() const { return most_ > duration::zero(); }

    // What ended the wait: one socket of `session`, or, with nullptr, something else or several at once. `waited`:
    // asking included.
    void told(const void* session, bool of_server, duration waited);

  private:
    duration most_{0};
    const void* session_ = nullptr;  // whose turn it was last; only compared
    bool alone_ = false;             // in the last two rounds it was the same one
    bool last_of_server_ = false;
    // Whether the last wait behind something from the client (0), from the server (1), was short. They are two, as a
    // client that thinks for long has a server that answers soon.
    std::array<bool, 2> soon_{true, true};
};

inline void busy_poll::told(const void* session, bool of_server, duration waited) {
    if (alone_) soon_[last_of_server_] = waited < most_;
    alone_ = session != nullptr && session == session_;
    session_ = session;
    last_of_server_ = of_server;
}

}  // namespace crossfade::proxy::frontend
