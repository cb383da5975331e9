#pragma once

#include <chrono>
#include <stop_token>

namespace crossfade::handover {

// Between two looks at a row of a database, by which nobody is woken. False, and at once: it is to be given up.
bool pause(const std::stop_token& give_up, std::chrono::milliseconds time);

}  // namespace crossfade::handover
