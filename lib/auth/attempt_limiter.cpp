#include "lib/auth/attempt_limiter.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "lib/auth/crypto.hpp"

namespace crossfade::auth {
namespace {

constexpr int longest_pause_in_windows = 10;

// What one failure uses up.
attempt_limiter::clock::duration cost(const attempt_limit& limit) {
    return attempt_limiter::clock::duration(limit.window) / limit.most;
}

}  // namespace

attempt_limiter::attempt_limiter(std::size_t entries)
    : secret_(random_bytes(32)), entries_(std::max(entries, bucket_size) / bucket_size * bucket_size) {}

std::uint64_t attempt_limiter::identity(const std::optional<ip_address>& from, std::string_view user) const {
    std::string text = from ? to_string(party_of(*from)) : "local";
    text.append(" ").append(user);
    const auto digest = hmac_sha256(secret_, text);
    std::uint64_t who = 0;
    std::memcpy(&who, digest.data(), sizeof who);
    return who;
}

std::optional<attempt_limiter::clock::duration> attempt_limiter::pause(const attempt_limit& limit,
                                                                       const std::optional<ip_address>& from,
                                                                       std::string_view user,
                                                                       clock::time_point now) const {
    if (limit.most == 0) return std::nullopt;
    const auto who = identity(from, user);
    const auto bucket = std::span(entries_).subspan(bucket_of(who), bucket_size);
    const std::lock_guard alone(looking_);
    const auto found = std::find_if(bucket.begin(), bucket.end(), [&](const entry& each) { return each.who == who; });
    if (found == bucket.end()) return std::nullopt;
    // A try is free when one more failure would still fit into the window.
    const auto ahead = found->used_until - now;
    const auto free_below = cost(limit) * (limit.most - 1);
    if (ahead <= free_below) return std::nullopt;
    return ahead - free_below;
}

void attempt_limiter::failed(const attempt_limit& limit, const std::optional<ip_address>& from, std::string_view user,
                             clock::time_point now) {
    if (limit.most == 0) return;
    const auto who = identity(from, user);
    const auto bucket = std::span(entries_).subspan(bucket_of(who), bucket_size);
    const std::lock_guard alone(looking_);
    auto at = std::find_if(bucket.begin(), bucket.end(), [&](const entry& each) { return each.who == who; });
    if (at == bucket.end()) {
        at = std::min_element(bucket.begin(), bucket.end(),
                              [](const entry& left, const entry& right) { return left.used_until < right.used_until; });
        *at = {who, now};
    }
    const auto most_ahead = now + clock::duration(limit.window) * longest_pause_in_windows;
    at->used_until = std::min(std::max(at->used_until, now) + cost(limit), most_ahead);
}

std::size_t attempt_limiter::remembered(clock::time_point now) const {
    const std::lock_guard alone(looking_);
    return static_cast<std::size_t>(
        std::count_if(entries_.begin(), entries_.end(), [&](const entry& each) { return each.used_until > now; }));
}

}  // namespace crossfade::auth
