#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "lib/pgwire/session_status.hpp"
#include "lib/pgwire/startup.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::proxy::frontend {

// Which backend a client means by a CancelRequest: the pid and key of its first backend, as the client was told them,
// lead to the database that this session's backend is of now, and to the key that counts there. Thread-safe; bounded by
// the number of sessions.
class cancel_registry {
    using key = std::pair<std::uint32_t, std::string>;
    struct destination {
        settings::side server;
        std::unique_ptr<const key> there;  // null: the same
    };
    using entries = std::multimap<key, destination>;

  public:
    // An entry, for as long as it lives.
    class registration {
      public:
        registration() = default;
        registration(registration&& other) noexcept
            : owner_(std::exchange(other.owner_, nullptr)), entry_(other.entry_) {}
        registration& operator=(registration&& other) noexcept {
            std::swap(owner_, other.owner_);
            std::swap(entry_, other.entry_);
            return *this;
        }
        ~registration();
        explicit operator bool() const { return owner_ != nullptr; }

        // Of an entry that there is: what its client cancels by, and whom that cancels.
        pgwire::cancel_request request() const { return {entry_->first.first, entry_->first.second}; }
        std::uint32_t backend_pid() const {
            const auto& there = entry_->second.there;
            return there ? there->first : entry_->first.first;
        }
        pgwire::backend_key_data backend() const {
            const auto& [pid, secret] = entry_->second.there ? *entry_->second.there : entry_->first;
            return {pid, secret};
        }
        // From now on that is another backend.
        void lead_to(const pgwire::backend_key_data& backend, settings::side server);

      private:
        friend class cancel_registry;
        registration(cancel_registry& owner, entries::iterator entry) : owner_(&owner), entry_(entry) {}

        cancel_registry* owner_ = nullptr;
        entries::iterator entry_{};
    };

    // The registry must outlive the registration.
    [[nodiscard]] registration add(const pgwire::backend_key_data& backend, settings::side server);

    enum class match { none, one, several };
    struct finding {
        match found = match::none;
        settings::side server = settings::side::legacy;  // when it is one
        pgwire::cancel_request request{};                // what to send there
    };
    // Two servers may draw the same pid and key: then nobody can say which is meant, and none is.
    finding find(const pgwire::cancel_request& request) const;

  private:
    mutable std::mutex mutex_;
    entries entries_;
};

}  // namespace crossfade::proxy::frontend
