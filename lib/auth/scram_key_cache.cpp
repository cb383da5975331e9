#include "lib/auth/scram_key_cache.hpp"

#include <algorithm>
#include <cstring>

namespace crossfade::auth {

scram_key_cache::scram_key_cache(std::size_t places)
    : secret_(random_bytes(32)), places_(std::max<std::size_t>(places, 1)) {}

key scram_key_cache::identity(std::string_view password, std::string_view salt, unsigned iterations) const {
    // The lengths keep "ab" and "c" apart from "a" and "bc".
    std::string all = std::to_string(iterations) + ' ' + std::to_string(salt.size()) + ' ';
    return hmac_sha256(secret_, all.append(salt).append(password));
}

scram_keys scram_key_cache::keys_of(std::string_view password, std::string_view salt, unsigned iterations) {
    const auto made_of = identity(password, salt, iterations);
    std::size_t number = 0;
    std::memcpy(&number, made_of.data(), sizeof number);
    auto& at = places_[number % places_.size()];
    {
        const std::lock_guard alone(looking_);
        if (at.made_of == made_of) return at.keys;
    }
    const auto keys = scram_keys_of(password, salt, iterations);
    const std::lock_guard alone(looking_);
    at = {made_of, keys};
    return keys;
}

}  // namespace crossfade::auth
