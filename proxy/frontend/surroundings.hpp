#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "lib/settings/reload.hpp"
#include "proxy/frontend/cancel_registry.hpp"

namespace crossfade::proxy::frontend {

// Sessions that are open, against the limit. Thread-safe.
class admission {
  public:
    // A place taken, until it is destroyed.
    class place {
      public:
        place() = default;
        explicit place(admission& of) : of_(&of) {}
        place(place&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
        place& operator=(place&& other) noexcept {
            std::swap(of_, other.of_);
            return *this;
        }
        ~place() {
            if (of_ != nullptr) of_->open_.fetch_sub(1, std::memory_order_relaxed);
        }
        explicit operator bool() const { return of_ != nullptr; }

      private:
        admission* of_ = nullptr;
    };

    // No place when `limit` are taken.
    [[nodiscard]] place enter(unsigned limit) {
        if (open_.fetch_add(1, std::memory_order_relaxed) < limit) return place{*this};
        open_.fetch_sub(1, std::memory_order_relaxed);
        return {};
    }
    unsigned open() const { return open_.load(std::memory_order_relaxed); }

  private:
    std::atomic<unsigned> open_{0};
};

// What all sessions share. Outlives them.
struct surroundings {
    explicit surroundings(std::function<settings::snapshot()> in_force) : current(std::move(in_force)) {}

    // The configuration in force; takes a lock, so `generation` says when it is worth asking again.
    std::function<settings::snapshot()> current;
    std::atomic<std::uint64_t> generation{0};
    cancel_registry cancels;
    admission sessions;
};

}  // namespace crossfade::proxy::frontend
