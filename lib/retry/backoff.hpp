#pragma once

#include <chrono>
#include <random>

namespace crossfade::retry {

// Pauses between attempts: doubling from `first` to `most`, each drawn from its upper half, so that processes which
// lost the same server don't come back together. One thread.
class backoff {
  public:
    // Both positive; a `most` below `first` counts as `first`.
    backoff(std::chrono::milliseconds first, std::chrono::milliseconds most);

    std::chrono::milliseconds next();
    void reset() { pause_ = first_; }

  private:
    std::chrono::milliseconds first_;
    std::chrono::milliseconds most_;
    std::chrono::milliseconds pause_;
    std::minstd_rand random_;
};

}  // namespace crossfade::retry
