#include "lib/auth/end_point.hpp"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <array>
#include <limits>
#include <memory>

namespace crossfade::auth {
namespace {

struct free_x509 {
    void operator()(X509* of) const { X509_free(of); }
};

}  // namespace

std::optional<std::string> tls_server_end_point(std::string_view certificate) {
    if (certificate.size() > std::numeric_limits<int>::max()) return std::nullopt;
    const auto* bytes = reinterpret_cast<const unsigned char*>(certificate.data());
    const std::unique_ptr<X509, free_x509> parsed(d2i_X509(nullptr, &bytes, static_cast<long>(certificate.size())));
    int algorithm = NID_undef;
    if (!parsed || X509_get_signature_info(parsed.get(), &algorithm, nullptr, nullptr, nullptr) != 1)
        return std::nullopt;
    if (algorithm == NID_md5 || algorithm == NID_sha1) algorithm = NID_sha256;
    const EVP_MD* hash = EVP_get_digestbynid(algorithm);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (hash == nullptr ||
        EVP_Digest(certificate.data(), certificate.size(), digest.data(), &length, hash, nullptr) != 1)
        return std::nullopt;
    return std::string(digest.begin(), digest.begin() + length);
}

}  // namespace crossfade::auth
