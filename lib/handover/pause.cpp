#include "lib/handover/pause.hpp"

#include <condition_variable>
#include <mutex>

namespace crossfade::handover {

bool pause(const std::stop_token& give_up, std::chrono::milliseconds time) {
    std::mutex alone;
    std::unique_lock held{alone};
    std::condition_variable_any woken;
    woken.wait_for(held, give_up, time, [] { return false; });
    return !give_up.stop_requested();
}

}  // namespace crossfade::handover
