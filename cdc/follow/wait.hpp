#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <utility>

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

}  // namespace crossfade::cdc::follow
