#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/auth/address.hpp"

namespace crossfade::auth {

// How fast wrong passwords may be tried, for each address and user: `most` at once, and then one for each most-th part
// of `window` that has passed. IPv6's addresses count by /64; all Unix sockets are one.
struct attempt_limit {
    unsigned most = 10;  // 0: no limit
    std::chrono::milliseconds window{60000};

    friend bool operator==(const attempt_limit&, const attempt_limit&) = default;
};

// Counts log-ins that failed. Those that succeed don't count and forgive nothing, so that an application may connect
// as often as it likes, and nobody gains tries from another's success.
//
// Log-ins that run side by side are all let in before the first has failed: their failures are counted in full, and the
// pause that follows is as much longer, up to ten windows.
//
// Memory is fixed, half a MiB: a hash table in which a full bucket forgets whom the limit holds back least. An attacker
// can't aim at a bucket: the hash is keyed. Thread-safe (one mutex, held for a look at eight entries): the loops share
// it.
class attempt_limiter {
  public:
    using clock = std::chrono::steady_clock;

    explicit attempt_limiter(std::size_t entries = std::size_t{1} << 15);

    // How long the next try has to wait; nothing when it may go ahead. `from`: nothing for a Unix socket.
    std::optional<clock::duration> pause(const attempt_limit& limit, const std::optional<ip_address>& from,
                                         std::string_view user, clock::time_point now) const;
    void failed(const attempt_limit& limit, const std::optional<ip_address>& from, std::string_view user,
                clock::time_point now);

    // Addresses and users that have a try less than `most`, as of now, and how many can be; for a metric.
    std::size_t remembered(clock::time_point now) const;
    std::size_t room() const { return entries_.size(); }
    std::size_t bytes() const { return entries_.size() * sizeof(entry); }

  private:
    // Generic cell rate algorithm: one time says all. It moves on by window/most with each failure; how far it is
    // ahead of now is what has been used up.
    struct entry {
        std::uint64_t who = 0;
        clock::time_point used_until{};
    };
    static constexpr std::size_t bucket_size = 8;

    std::uint64_t identity(const std::optional<ip_address>& from, std::string_view user) const;
    std::size_t bucket_of(std::uint64_t who) const { return who % (entries_.size() / bucket_size) * bucket_size; }

    std::string secret_;
    mutable std::mutex looking_;
    std::vector<entry> entries_;
};

}  // namespace crossfade::auth
