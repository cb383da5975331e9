#include "lib/retry/backoff.hpp"

#include <algorithm>

namespace crossfade::retry {

backoff::backoff(std::chrono::milliseconds first, std::chrono::milliseconds most)
    : first_(first), most_(std::max(first, most)), pause_(first), random_(std::random_device{}()) {}

std::chrono::milliseconds backoff::next() {
    std::uniform_int_distribution<std::chrono::milliseconds::rep> between{(pause_ / 2).count(), pause_.count()};
    const std::chrono::milliseconds drawn{between(random_)};
    pause_ = std::min(pause_ * 2, most_);
    return drawn;
}

}  // namespace crossfade::retry
