#pragma once

#include <boost/system/result.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lib/auth/credential.hpp"

namespace crossfade::auth {

// Where a list of users is not one. `what` repeats nothing of the file.
struct user_list_fault {
    int line = 0;  // 1-based
    std::string what;
};
[[noreturn]] void throw_exception_from_error(const user_list_fault& fault, const boost::source_location& where);

// Users and what is kept of their passwords, as PgBouncer's auth_file has them:
//
//   "name" "SCRAM-SHA-256$4096:…$…:…"
//   ; a comment
//   "other" "md5…" and what follows is ignored
//   "third" "a password, with "" for a quote"
//
// One user a line. An empty password stands for none. Immutable and shared: copies are cheap.
class user_list {
  public:
    static constexpr std::size_t most_bytes = std::size_t{4} << 20;
    static constexpr std::size_t most_users = 50000;
    // Each of them takes its milliseconds in user_accounts, at every load.
    static constexpr std::size_t most_clear_passwords = 1000;

    user_list() = default;  // empty

    // nullopt: no password is set. Null when the user isn't in the list.
    using entry = std::optional<stored_secret>;
    const entry* find(std::string_view user) const;
    std::size_t size() const { return entries_ ? entries_->size() : 0; }

    // A text that is the same for lists that are, and gives nothing of them away without the list at hand.
    std::string digest() const;

    friend bool operator==(const user_list& left, const user_list& right) {
        return left.entries_ == right.entries_ ||
               (left.entries_ && right.entries_ && *left.entries_ == *right.entries_);
    }

  private:
    friend class user_accounts;
    friend boost::system::result<user_list, user_list_fault> parse_user_list(std::string_view text);

    using entries = std::map<std::string, entry, std::less<>>;
    std::shared_ptr<const entries> entries_;
};

// The first fault ends it. Names of 1 to 63 bytes, secrets of up to longest_secret, each user once.
boost::system::result<user_list, user_list_fault> parse_user_list(std::string_view text);

// A list of users made ready for log-ins: whoever has a password in clear gets a verifier, with the mock's iterations
// and salt. That is up to most_clear_passwords times some milliseconds, so make it where nobody waits (a reload's
// thread, not an event loop). What `before` has of the same user with the same secret is taken from there.
class user_accounts {
  public:
    user_accounts() = default;
    user_accounts(const user_list& of, const scram_mock& mock, const user_accounts* before = nullptr);

    const credential* find(std::string_view user) const;

  private:
    std::map<std::string, credential, std::less<>> credentials_;
};

}  // namespace crossfade::auth
