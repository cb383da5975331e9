#include "lib/auth/stored_secret.hpp"

namespace crossfade::auth {
namespace {

constexpr std::size_t md5_length = 35;

bool is_md5(std::string_view text, std::string_view digits) {
    return text.size() == md5_length && text.starts_with("md5") &&
           text.find_first_not_of(digits, 3) == std::string_view::npos;
}

}  // namespace

std::optional<stored_secret> parse_stored_secret(std::string_view text) {
    if (text.empty() || text.size() > longest_secret || text.find('\0') != std::string_view::npos) return std::nullopt;
    if (looks_like_scram_verifier(text)) {
        auto verifier = parse_scram_verifier(text);
        if (!verifier) return std::nullopt;
        return *std::move(verifier);
    }
    // Lower-case alone, as PostgreSQL writes and wants it: another spelling would give another answer.
    if (is_md5(text, "0123456789abcdef")) return md5_hash{std::string(text)};
    if (is_md5(text, "0123456789abcdefABCDEF")) return std::nullopt;
    return clear_password{std::string(text)};
}

std::string md5_answer(std::string_view password, std::string_view user, std::string_view salt) {
    return md5_answer(md5_hash{"md5" + md5_hex(std::string(password).append(user))}, salt);
}

std::string md5_answer(const md5_hash& hash, std::string_view salt) {
    return "md5" + md5_hex(hash.text.substr(3).append(salt));
}

}  // namespace crossfade::auth
