#pragma once

#include <atomic>

namespace crossfade::ctl::backfill {

// While it lives, SIGINT and SIGTERM raise a flag instead of ending the program; the second one ends it.
class interrupt_guard {
  public:
    interrupt_guard();
    ~interrupt_guard();
    interrupt_guard(const interrupt_guard&) = delete;
    interrupt_guard& operator=(const interrupt_guard&) = delete;

    const std::atomic<bool>& flag() const;
};

}  // namespace crossfade::ctl::backfill
