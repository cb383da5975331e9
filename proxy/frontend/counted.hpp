#pragma once

#include <atomic>

namespace crossfade::proxy::frontend {

// One more of what is counted, for as long as it lives. Any thread.
class counted {
  public:
    explicit counted(std::atomic<unsigned>& number)
        : number_(number), before_(number.fetch_add(1, std::memory_order_relaxed)) {}
    ~counted() { number_.fetch_sub(1, std::memory_order_relaxed); }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;

    // How many there were when it came.
    unsigned before() const { return before_; }

  private:
    std::atomic<unsigned>& number_;
    unsigned before_;
};

}  // namespace crossfade::proxy::frontend
