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
    // Sessions by name. A name is written once, however many sessions have it, and goes with the last of them.
    using counts = std::map<std::string, unsigned, std::less<>>;

    // A place taken, until it is destroyed.
    class place {
      public:
        place() = default;
        place(place&& other) noexcept
            : of_(std::exchange(other.of_, nullptr)), user_(other.user_), database_(other.database_) {}
        place& operator=(place&& other) noexcept {
            std::swap(of_, other.of_);
            std::swap(user_, other.user_);
            std::swap(database_, other.database_);
            return *this;
        }
        ~place();
        explicit operator bool() const { return of_ != nullptr; }

        // Of a place that is taken.
        const std::string& user() const { return user_->first; }
        const std::string& database() const { return database_->first; }

      private:
        friend class admission;

        admission* of_ = nullptr;
        counts::iterator user_{};
        counts::iterator database_{};
    };

    struct verdict {
        place granted;
        std::string_view reached;  // the limit's key, where there is no place
    };
    // The limits are those of `by`: proxy.max_sessions less proxy.reserved_sessions (all of them for
    // proxy.reserved_users), a user's and a database's.
    [[nodiscard]] verdict enter(const settings::proxy& by, std::string_view user, std::string_view database);

    unsigned open() const { return open_.load(std::memory_order_relaxed); }

  private:
    void leave(const place& given_up);

    std::atomic<unsigned> open_{0};
    std::mutex mutex_;
    counts by_user_;
    counts by_database_;
};

}  // namespace crossfade::proxy::frontend
