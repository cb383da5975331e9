#pragma once

#include <chrono>
#include <thread>

namespace crossfade::support {

// Whether `predicate` came true within `timeout`; asks every few milliseconds.
template <class Predicate>
bool eventually(std::chrono::milliseconds timeout, Predicate predicate) {
    const auto until = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        if (predicate()) return true;
        if (std::chrono::steady_clock::now() >= until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
}

}  // namespace crossfade::support
