#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace crossfade::proxy::frontend {

// Bytes that sessions hold, in all: what proxy.max_memory bounds. Written when a session comes, goes, or holds much
// more or less than before, and never on the way of a message. Any thread.
class memory_account {
  public:
    // One session's part, given back with it.
    class share {
      public:
        explicit share(memory_account& of) : of_(of) {}
        ~share() { set(0); }
        share(const share&) = delete;
        share& operator=(const share&) = delete;

        std::size_t bytes() const { return bytes_; }
        void set(std::size_t bytes) {
            // Unsigned numbers go round: this takes away, too.
            of_.held_.fetch_add(bytes - std::exchange(bytes_, bytes), std::memory_order_relaxed);
        }

      private:
        memory_account& of_;
        std::size_t bytes_ = 0;
    };

    std::uint64_t held() const { return held_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> held_{0};
};

}  // namespace crossfade::proxy::frontend
