#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "lib/auth/scram_verifier.hpp"

namespace crossfade::auth {

// "md5" and 32 hexadecimal digits: MD5 of password and user name. As good as the password to whoever has it.
struct md5_hash {
    std::string text;

    friend bool operator==(const md5_hash&, const md5_hash&) = default;
};
struct clear_password {
    std::string text;  // not empty, no zero byte

    friend bool operator==(const clear_password&, const clear_password&) = default;
};

// What is kept of a user's password.
using stored_secret = std::variant<scram_verifier, md5_hash, clear_password>;

inline constexpr std::size_t longest_secret = 2048;

// Tells the three apart as PostgreSQL does (crypt.c), but for one thing: a damaged SCRAM verifier or md5 hash is none
// of them, where PostgreSQL would take it for a password, one that everybody knows who can read it. Nothing too for an
// empty text, one with a zero byte and one beyond longest_secret.
std::optional<stored_secret> parse_stored_secret(std::string_view text);

// PostgreSQL's md5 authentication ("MD5 password" in protocol-flow.html): "md5" and the digest of hash and salt.
// `salt`: AuthenticationMD5Password's 4 bytes.
std::string md5_answer(std::string_view password, std::string_view user, std::string_view salt);
std::string md5_answer(const md5_hash& hash, std::string_view salt);

}  // namespace crossfade::auth
