#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace crossfade::support {

// Whether `predicate` came true within `timeout`; asks every few milliseconds, later every few dozens: many a question
// takes a connection, and its answer the machine's time from what is waited for.
template <class Predicate>
bool eventually(std::chrono::milliseconds timeout, Predicate predicate) {
    const auto until = std::chrono::steady_clock::now() + timeout;
    for (std::chrono::milliseconds pause{5};; pause = std::min(pause * 3 / 2, std::chrono::milliseconds{50})) {
        if (predicate()) return true;
        if (std::chrono::steady_clock::now() >= until) return false;
        std::this_thread::sleep_for(pause);
    }
}

}  // namespace crossfade::support
