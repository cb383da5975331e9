#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

// libcrypto, as SCRAM and md5 need it. What OpenSSL itself fails at (no memory, no random bytes, a policy that forbids
// an algorithm) throws std::runtime_error; bad input never does.
namespace crossfade::auth {

// SHA-256's length: every key and signature of SCRAM-SHA-256.
using key = std::array<unsigned char, 32>;
inline std::string_view bytes_of(const key& of) {
    return {reinterpret_cast<const char*>(of.data()), of.size()};
}

key sha256(std::string_view bytes);
key hmac_sha256(std::string_view with, std::string_view bytes);
inline key hmac_sha256(const key& with, std::string_view bytes) {
    return hmac_sha256(bytes_of(with), bytes);
}
// PBKDF2 with HMAC-SHA-256: Hi() of RFC 5802. `iterations` is at least 1; 4096 take about a millisecond.
key pbkdf2_sha256(std::string_view password, std::string_view salt, unsigned iterations);
key operator^(const key& left, const key& right);

// Lower-case hexadecimal of MD5.
std::string md5_hex(std::string_view bytes);

std::string random_bytes(std::size_t count);

// In a time that depends on the lengths alone.
bool equal_in_constant_time(std::string_view left, std::string_view right);

std::string base64(std::string_view bytes);
inline std::string base64(const key& bytes) {
    return base64(bytes_of(bytes));
}
// RFC 4648 as an encoder writes it: nothing for another alphabet, white space, missing or superfluous padding, or bits
// left over.
std::optional<std::string> from_base64(std::string_view text);
std::optional<key> key_from_base64(std::string_view text);

}  // namespace crossfade::auth
