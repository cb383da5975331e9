#include "lib/auth/scram_verifier.hpp"

#include <charconv>
#include <limits>

#include "lib/auth/saslprep.hpp"

namespace crossfade::auth {
namespace {

constexpr std::string_view prefix = "SCRAM-SHA-256$";
constexpr std::size_t longest_salt = 256;

// What is in front of `separator`, which is taken too; nothing when there is none.
std::optional<std::string_view> field(std::string_view& from, char separator) {
    const auto end = from.find(separator);
    if (end == std::string_view::npos) return std::nullopt;
    const auto taken = from.substr(0, end);
    from.remove_prefix(end + 1);
    return taken;
}

}  // namespace

bool looks_like_scram_verifier(std::string_view text) {
    return text.starts_with("SCRAM-SHA-");
}

std::optional<scram_verifier> parse_scram_verifier(std::string_view text) {
    if (!text.starts_with(prefix)) return std::nullopt;
    text.remove_prefix(prefix.size());
    const auto iterations = field(text, ':');
    const auto salt = field(text, '$');
    const auto stored = field(text, ':');
    if (!iterations || !salt || !stored) return std::nullopt;

    scram_verifier read;
    const auto* end = iterations->data() + iterations->size();
    const auto [stopped, failed] = std::from_chars(iterations->data(), end, read.iterations);
    constexpr unsigned most = std::numeric_limits<int>::max();
    if (failed != std::errc{} || stopped != end || read.iterations == 0 || read.iterations > most) return std::nullopt;

    const auto salt_bytes = from_base64(*salt);
    const auto stored_key = key_from_base64(*stored);
    const auto server_key = key_from_base64(text);
    if (!salt_bytes || salt_bytes->empty() || salt_bytes->size() > longest_salt || !stored_key || !server_key)
        return std::nullopt;
    read.salt = *salt_bytes;
    read.stored = *stored_key;
    read.server = *server_key;
    return read;
}

std::string build(const scram_verifier& of) {
    return std::string(prefix) + std::to_string(of.iterations) + ':' + base64(of.salt) + '$' + base64(of.stored) + ':' +
           base64(of.server);
}

scram_keys scram_keys_of(std::string_view password, std::string_view salt, unsigned iterations) {
    const auto salted = pbkdf2_sha256(saslprep(password), salt, iterations);
    return {hmac_sha256(salted, "Client Key"), hmac_sha256(salted, "Server Key")};
}

scram_verifier make_scram_verifier(std::string_view password, std::string salt, unsigned iterations) {
    const auto keys = scram_keys_of(password, salt, iterations);
    return {iterations, std::move(salt), sha256(bytes_of(keys.client)), keys.server};
}

std::string scram_mock::salt_for(std::string_view user) const {
    const auto whole = hmac_sha256(secret_, "salt of " + std::string(user));
    return std::string(bytes_of(whole).substr(0, scram_salt_length));
}

scram_verifier scram_mock::verifier_for(std::string_view user) const {
    // No client key is known that hashes to this.
    const auto unknown = hmac_sha256(secret_, "key of " + std::string(user));
    return {iterations_, salt_for(user), unknown, unknown};
}

}  // namespace crossfade::auth
