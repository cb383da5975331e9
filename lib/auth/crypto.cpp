#include "lib/auth/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <stdexcept>

namespace crossfade::auth {
namespace {

const unsigned char* data_of(std::string_view bytes) {
    // OpenSSL takes a null pointer for "the key of the last time".
    return reinterpret_cast<const unsigned char*>(bytes.empty() ? "" : bytes.data());
}

void require(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string("OpenSSL can't do ") + what);
}

}  // namespace

key sha256(std::string_view bytes) {
    key digest{};
    unsigned length = 0;
    require(EVP_Digest(data_of(bytes), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) == 1, "SHA-256");
    return digest;
}

key hmac_sha256(std::string_view with, std::string_view bytes) {
    key digest{};
    unsigned length = 0;
    require(HMAC(EVP_sha256(), data_of(with), static_cast<int>(with.size()), data_of(bytes), bytes.size(),
                 digest.data(), &length) != nullptr,
            "HMAC-SHA-256");
    return digest;
}

key pbkdf2_sha256(std::string_view password, std::string_view salt, unsigned iterations) {
    key derived{};
    require(PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(data_of(password)), static_cast<int>(password.size()),
                              data_of(salt), static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                              static_cast<int>(derived.size()), derived.data()) == 1,
            "PBKDF2");
    return derived;
}

key operator^(const key& left, const key& right) {
    key both{};
    std::transform(left.begin(), left.end(), right.begin(), both.begin(), std::bit_xor<>{});
    return both;
}

std::string md5_hex(std::string_view bytes) {
    std::array<unsigned char, 16> digest{};
    unsigned length = 0;
    require(EVP_Digest(data_of(bytes), bytes.size(), digest.data(), &length, EVP_md5(), nullptr) == 1, "MD5");
    std::string text;
    for (const auto byte : digest) {
        text.push_back("0123456789abcdef"[byte >> 4]);
        text.push_back("0123456789abcdef"[byte & 15]);
    }
    return text;
}

std::string random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    require(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) == 1, "random bytes");
    return bytes;
}

bool equal_in_constant_time(std::string_view left, std::string_view right) {
    return left.size() == right.size() && CRYPTO_memcmp(data_of(left), data_of(right), left.size()) == 0;
}

std::string base64(std::string_view bytes) {
    // EVP_EncodeBlock ends what it writes with a zero byte.
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data_of(bytes), static_cast<int>(bytes.size()));
    text.pop_back();
    return text;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string bytes(text.size() / 4 * 3, '\0');
    const int length =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), data_of(text), static_cast<int>(text.size()));
    if (length < 0) return std::nullopt;
    // It counts padding as zero bytes, and skips blanks.
    const auto padding = text.ends_with("==") ? 2U : text.ends_with('=') ? 1U : 0U;
    if (static_cast<std::size_t>(length) != bytes.size() || bytes.size() < padding) return std::nullopt;
    bytes.resize(bytes.size() - padding);
    if (base64(bytes) != text) return std::nullopt;
    return bytes;
}

std::optional<key> key_from_base64(std::string_view text) {
    const auto bytes = from_base64(text);
    key read{};
    if (!bytes || bytes->size() != read.size()) return std::nullopt;
    std::copy(bytes->begin(), bytes->end(), read.begin());
    return read;
}

}  // namespace crossfade::auth
