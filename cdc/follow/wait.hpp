#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace crossfade::cdc::follow {

// Sleeps that end at once when the thread is asked to stop, or when something has changed.
class interruptible_wait {
  public:
    void wait(const std::stop_token& stopping, std::chrono::milliseconds time) {
        std::unique_lock hold{mutex_};
        changed_.wait_for(hold, stopping, time, [this] { return std::exchange(nudged_, false); });
    }
    void nudge() {
        const std::lock_guard hold{mutex_};
        nudged_ = true;
        changed_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable_any changed_;
    bool nudged_ = false;
};

// Doubles from 100 ms up to a bound; a success starts anew.
class backoff {
  public:
    explicit backoff(std::chrono::milliseconds most) : most_(std::max(most, first)) {}
    std::chrono::milliseconds next() {
        const auto now = std::min(next_, most_);
        next_ = std::min(next_ * 2, most_);
        return now;
    }
    void reset() { next_ = first; }

  private:
    static constexpr std::chrono::milliseconds first{100};
    std::chrono::milliseconds most_;
    std::chrono::milliseconds next_ = first;
};

}  // namespace crossfade::cdc::follow
