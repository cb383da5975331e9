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
    struct presence {
        unsigned all = 0;
        unsigned shown = 0;  // of these, those that are logged in as what they named
    };
    // Sessions by name. A name is written once, however many sessions have it, and goes with the last of them.
    using counts = std::map<std::string, presence, std::less<>>;

    // A place taken, until it is destroyed.
    class place {
      public:
        place() = default;
        place(place&& other) noexcept
            : of_(std::exchange(other.of_, nullptr)),
              user_(other.user_),
              database_(other.database_),
              is_shown_(other.is_shown_) {}
        place& operator=(place&& other) noexcept {
            std::swap(of_, other.of_);
            std::swap(user_, other.user_);
            std::swap(database_, other.database_);
            std::swap(is_shown_, other.is_shown_);
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
        bool is_shown_ = false;
    };

    // Whether a client has shown to be the user that it names, or is still to be asked, by the database.
    enum class standing { claimed, shown };

    struct verdict {
        place granted;
        std::string_view reached;  // the limit's key, where there is no place
    };
    // The limits are those of `by`: proxy.max_sessions less proxy.reserved_sessions (all of them for
    // proxy.reserved_users), a user's and a database's. These two count from when the user is shown, so that nobody
    // takes another one's places by his name alone.
    [[nodiscard]] verdict enter(const settings::proxy& by, std::string_view user, std::string_view database,
                                standing client);
    // The client of a claimed place is logged in. The key of the limit that is reached, and then it isn't counted;
    // empty when it is.
    [[nodiscard]] std::string_view show(place& of, const settings::proxy& by);

    unsigned open() const { return open_.load(std::memory_order_relaxed); }

  private:
    std::string_view show_alone(place& of, const settings::proxy& by);
    void leave(const place& given_up);

    std::atomic<unsigned> open_{0};
    std::mutex mutex_;
    counts by_user_;
    counts by_database_;
};

}  // namespace crossfade::proxy::frontend
