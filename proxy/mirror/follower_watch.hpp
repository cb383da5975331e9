#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/reload.hpp"
#include "lib/store/applied.hpp"
#include "proxy/mirror/waiting_list.hpp"

namespace crossfade::proxy::mirror {

// Sees to it that who waits under the strategy `mirror` hears when the follower has what he committed: asks legacy for
// marks (a logical message in a transaction of its own, for all who wait at the moment), and listens on modern for what
// crossfade-cdc says it has applied. On connections and threads of its own, which are made at start where something is
// mirrored, or when somebody waits for the first time. docs/adr/0021 says why it is right.
class follower_watch {
  public:
    using clock = waiting_list::clock;

    follower_watch(std::function<settings::snapshot()> in_force, prometheus::Registry& metrics);
    ~follower_watch() { stop(); }
    follower_watch(const follower_watch&) = delete;
    follower_watch& operator=(const follower_watch&) = delete;

    // What legacy has committed by now. True: `then` will be called, once, in a thread of the watch and without its
    // lock: by proxy.mirror_timeout at the latest, of which he has `waited` for so long already. False: the follower is
    // away or slow, and nobody waits.
    bool wait_for_follower(waiting_list::release then, clock::duration waited);

    // Any thread.
    struct state {
        bool degraded = false;
        std::size_t waiting = 0;
    };
    state now() const;
    // Ends all waits, and nobody waits any more. Takes as long as a question to a database that is under way, some
    // seconds at most.
    void stop();

  private:
    // Where it isn't yet; with the lock held.
    void start();
    void make_marks(const std::stop_token& stopping);
    void listen(const std::stop_token& stopping);
    void look_at_clock(const std::stop_token& stopping);

    std::optional<std::uint64_t> ask_mark();
    bool hear(std::chrono::milliseconds patience);  // false: the connection is broken
    void news(std::optional<std::uint64_t> applied);
    // With the lock held by `hold`, which it gives back.
    void tell(std::unique_lock<std::mutex>& hold);
    void pause(const std::stop_token& stopping, std::chrono::milliseconds time);
    settings::snapshot config() const { return in_force_(); }

    const std::function<settings::snapshot()> in_force_;
    prometheus::Gauge& waiting_;
    prometheus::Gauge& degraded_;
    prometheus::Counter& marks_;
    std::array<prometheus::Counter*, wait_ends.size()> ends_;
    prometheus::Histogram& added_seconds_;

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    waiting_list list_;
    bool started_ = false;
    bool stopped_ = false;
    bool said_degraded_ = false;

    std::optional<pgclient::connection> legacy_;  // the thread's that makes marks
    store::marker marker_;                        // its, too
    std::optional<pgclient::connection> modern_;  // the one's that listens
    std::jthread marks_thread_;
    std::jthread listens_thread_;
    std::jthread clock_thread_;
};

}  // namespace crossfade::proxy::mirror
