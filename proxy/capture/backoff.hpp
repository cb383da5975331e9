#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace crossfade::proxy::capture {

// Pauses between attempts: doubling from 200 ms to 3 s, each drawn from its upper half, so that proxies which lost the
// same server don't come back together.
class backoff {
  public:
    std::chrono::milliseconds next() {
        std::uniform_int_distribution<int> between{pause_ / 2, pause_};
        const std::chrono::milliseconds drawn{between(random_)};
        pause_ = std::min(pause_ * 2, 3000);
        return drawn;
    }
    void reset() { pause_ = 200; }

  private:
    int pause_ = 200;  // milliseconds
    std::minstd_rand random_{std::random_device{}()};
};

}  // namespace crossfade::proxy::capture
