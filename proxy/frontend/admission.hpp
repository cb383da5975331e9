#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "lib/settings/settings.hpp"

namespace crossfade::proxy::frontend {

// Sessions that are open, against the limits. Thread-safe.
class admission {
  public:
    // A place taken, until it is destroyed.
    class place {
      public:
        place() = default;
        place(place&& other) noexcept : of_(std::exchange(other.of_, nullptr)), key_(std::move(other.key_)) {}
        place& operator=(place&& other) noexcept {
            std::swap(of_, other.of_);
            std::swap(key_, other.key_);
            return *this;
        }
        ~place();
        explicit operator bool() const { return of_ != nullptr; }

      private:
        friend class admission;
        using names = std::pair<std::string, std::string>;  // user, database

        admission* of_ = nullptr;
        names key_;
    };

    struct verdict {
        place granted;
        std::string_view reached;  // the limit's key, where there is no place
    };
    // The limits are those of `by`: proxy.max_sessions less proxy.reserved_sessions (all of them for
    // proxy.reserved_users), a user's and a database's.
    [[nodiscard]] verdict enter(const settings::proxy& by, const std::string& user, const std::string& database);

    unsigned open() const { return open_.load(std::memory_order_relaxed); }

  private:
    void leave(const place::names& key);

    std::atomic<unsigned> open_{0};
    std::mutex mutex_;
    // As many entries as sessions at most: each goes with its last one.
    std::map<std::string, unsigned, std::less<>> by_user_;
    std::map<std::string, unsigned, std::less<>> by_database_;
};

}  // namespace crossfade::proxy::frontend
