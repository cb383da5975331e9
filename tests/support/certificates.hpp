#pragma once

#include <openssl/x509.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/temp_dir.hpp"

namespace crossfade::support {

// A certificate and its key in PEM files that a PostgreSQL server takes too.
struct certificate_files {
    std::string cert;
    std::string key;
};

enum class key_kind { p256, rsa };

// An authority for tests, with certificates that are valid for a day.
class certificate_authority {
  public:
    explicit certificate_authority(const std::string& name);

    // `alternative_names` as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1"; empty: none.
    certificate_files issue(const std::string& common_name, const std::string& alternative_names,
                            key_kind kind = key_kind::p256) const;
    // A list of certificates that are revoked.
    std::string revoked(const std::vector<certificate_files>& which) const;
    std::string file() const { return (dir_.path() / "ca.crt").string(); }

  private:
    struct release {
        void operator()(X509* of) const { ::X509_free(of); }
        void operator()(EVP_PKEY* of) const { ::EVP_PKEY_free(of); }
    };
    using certificate = std::unique_ptr<X509, release>;
    using key = std::unique_ptr<EVP_PKEY, release>;

    certificate sign(const std::string& common_name, EVP_PKEY& subject, const std::string& alternative_names) const;

    temp_dir dir_;
    key key_;
    certificate own_;
    mutable long serial_ = 0;
};

}  // namespace crossfade::support
