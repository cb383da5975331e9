#include "tests/support/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

namespace crossfade::support {
namespace {

constexpr long a_day = 24L * 60 * 60;

using file = std::unique_ptr<FILE, decltype([](FILE* of) { std::fclose(of); })>;

file open_for(const std::string& path, const char* mode = "w") {
    file opened{std::fopen(path.c_str(), mode)};
    if (!opened) throw std::runtime_error("can't open " + path);
    return opened;
}

void write_certificate(const std::string& path, X509* what) {
    ::PEM_write_X509(open_for(path).get(), what);
}

void write_key(const std::string& path, EVP_PKEY* what) {
    ::PEM_write_PrivateKey(open_for(path).get(), what, nullptr, nullptr, 0, nullptr, nullptr);
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const passwd* owner = ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr;
    if (owner != nullptr && ::chown(path.c_str(), owner->pw_uid, owner->pw_gid) != 0)
        throw std::runtime_error("can't give " + path + " to postgres");
}

void extend(X509* what, X509* issuer, int extension, const std::string& value) {
    X509V3_CTX context;
    ::X509V3_set_ctx(&context, issuer, what, nullptr, nullptr, 0);
    auto* made = ::X509V3_EXT_conf_nid(nullptr, &context, extension, value.c_str());
    if (made == nullptr) throw std::runtime_error("no such extension: " + value);
    ::X509_add_ext(what, made, -1);
    ::X509_EXTENSION_free(made);
}

}  // namespace

certificate_authority::certificate_authority(const std::string& name) : key_(::EVP_EC_gen("P-256")) {
    own_ = sign(name, *key_, "");
    write_certificate(file(), own_.get());
}

certificate_files certificate_authority::issue(const std::string& common_name, const std::string& alternative_names,
                                               key_kind kind) const {
    const key subject{kind == key_kind::rsa ? ::EVP_RSA_gen(2048) : ::EVP_EC_gen("P-256")};
    const auto made = sign(common_name, *subject, alternative_names);
    const auto stem = (dir_.path() / std::to_string(serial_)).string();
    certificate_files files{stem + ".crt", stem + ".key"};
    write_certificate(files.cert, made.get());
    write_key(files.key, subject.get());
    return files;
}

std::string certificate_authority::revoked(const std::vector<certificate_files>& which) const {
    const std::unique_ptr<X509_CRL, decltype(&::X509_CRL_free)> list{::X509_CRL_new(), &::X509_CRL_free};
    const std::unique_ptr<ASN1_TIME, decltype(&::ASN1_TIME_free)> at{::ASN1_TIME_new(), &::ASN1_TIME_free};
    ::X509_CRL_set_version(list.get(), 1);
    ::X509_CRL_set_issuer_name(list.get(), ::X509_get_subject_name(own_.get()));
    ::X509_gmtime_adj(at.get(), -a_day);
    ::X509_CRL_set1_lastUpdate(list.get(), at.get());
    for (const auto& each : which) {
        const certificate read{::PEM_read_X509(open_for(each.cert, "r").get(), nullptr, nullptr, nullptr)};
        if (!read) throw std::runtime_error("can't read " + each.cert);
        auto* entry = ::X509_REVOKED_new();
        ::X509_REVOKED_set_serialNumber(entry, ::X509_get_serialNumber(read.get()));
        ::X509_REVOKED_set_revocationDate(entry, at.get());
        ::X509_CRL_add0_revoked(list.get(), entry);
    }
    ::X509_gmtime_adj(at.get(), a_day);
    ::X509_CRL_set1_nextUpdate(list.get(), at.get());
    ::X509_CRL_sort(list.get());
    if (::X509_CRL_sign(list.get(), key_.get(), ::EVP_sha256()) == 0) throw std::runtime_error("can't sign a list");
    const auto path = (dir_.path() / ("revoked" + std::to_string(++serial_) + ".crl")).string();
    ::PEM_write_X509_CRL(open_for(path).get(), list.get());
    return path;
}

certificate_authority::certificate certificate_authority::sign(const std::string& common_name, EVP_PKEY& subject,
                                                               const std::string& alternative_names) const {
    certificate made{::X509_new()};
    ::X509_set_version(made.get(), 2);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(made.get()), ++serial_);
    ::X509_gmtime_adj(::X509_getm_notBefore(made.get()), -a_day);
    ::X509_gmtime_adj(::X509_getm_notAfter(made.get()), a_day);
    ::X509_set_pubkey(made.get(), &subject);
    auto* name = ::X509_get_subject_name(made.get());
    ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.c_str()),
                                 -1, -1, 0);
    auto* issuer = own_ ? own_.get() : made.get();
    ::X509_set_issuer_name(made.get(), ::X509_get_subject_name(issuer));
    if (!own_) extend(made.get(), issuer, NID_basic_constraints, "critical,CA:TRUE");
    if (!alternative_names.empty()) extend(made.get(), issuer, NID_subject_alt_name, alternative_names);
    if (::X509_sign(made.get(), key_.get(), ::EVP_sha256()) == 0) throw std::runtime_error("can't sign a certificate");
    return made;
}

}  // namespace crossfade::support
