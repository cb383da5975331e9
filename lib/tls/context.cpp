#include "lib/tls/context.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <array>
#include <boost/throw_exception.hpp>
#include <stdexcept>

namespace crossfade::tls {
namespace {

using boost::system::result;

// Reasons alone: OpenSSL's data may hold paths, never contents, but a reason reads better.
std::string openssl_reason() {
    std::string text;
    while (const auto code = ::ERR_get_error()) {
        const char* reason = ::ERR_reason_error_string(code);
        if (reason == nullptr) continue;
        if (!text.empty()) text += "; ";
        text += reason;
    }
    return text.empty() ? "OpenSSL gives no reason" : text;
}

fault unusable(std::string_view setting, const std::string& file) {
    return {std::string{setting} + " " + file + ": " + openssl_reason()};
}

// PostgreSQL's choice (be-secure-openssl.c): nothing below TLS 1.2, no compression, no renegotiation, no resumption.
void bound(SSL_CTX* of) {
    ::SSL_CTX_set_min_proto_version(of, TLS1_2_VERSION);
    ::SSL_CTX_set_options(of, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    ::SSL_CTX_set_session_cache_mode(of, SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_num_tickets(of, 0);
    ::SSL_CTX_set_mode(of, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // libpq reads 8 KiB at a time and then waits for the socket; of a longer record the rest would lie in its TLS
    // library, and an asynchronous client would wait for ever. PostgreSQL's own records are no longer than this.
    ::SSL_CTX_set_max_send_fragment(of, 8192);
}

std::optional<fault> use_certificate(SSL_CTX* of, std::string_view cert_setting, const std::string& cert_file,
                                     std::string_view key_setting, const std::string& key_file) {
    ::ERR_clear_error();
    if (::SSL_CTX_use_certificate_chain_file(of, cert_file.c_str()) != 1) return unusable(cert_setting, cert_file);
    if (::SSL_CTX_use_PrivateKey_file(of, key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        return unusable(key_setting, key_file);
    return std::nullopt;
}

std::optional<fault> trust(SSL_CTX* of, std::string_view setting, const std::string& ca_file) {
    ::ERR_clear_error();
    if (ca_file == "system") {
        if (::SSL_CTX_set_default_verify_paths(of) != 1) return unusable(setting, ca_file);
    } else if (::SSL_CTX_load_verify_locations(of, ca_file.c_str(), nullptr) != 1) {
        return unusable(setting, ca_file);
    }
    return std::nullopt;
}

// PostgreSQL 17's name for itself (protocol-flow.html, "SSL Session Encryption"). A client that offers others alone
// speaks another protocol: an HTTP request must not be taken for a session.
constexpr std::array<unsigned char, 11> alpn{10, 'p', 'o', 's', 't', 'g', 'r', 'e', 's', 'q', 'l'};

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* offered,
                unsigned int offered_length, void*) {
    unsigned char* chosen = nullptr;
    if (::SSL_select_next_proto(&chosen, out_length, alpn.data(), alpn.size(), offered, offered_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

void throw_exception_from_error(const fault& what, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(what.text), where);
}

result<context, fault> context::of_listener(const settings::listener_tls& from) {
    context made{::SSL_CTX_new(::TLS_server_method())};
    auto* native = made.native();
    if (native == nullptr) return fault{"proxy.tls: " + openssl_reason()};
    bound(native);
    if (from.min_version == "1.3") ::SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
    if (!from.ciphers.empty() && ::SSL_CTX_set_cipher_list(native, from.ciphers.c_str()) != 1)
        return fault{"proxy.tls.ciphers: " + openssl_reason()};
    ::SSL_CTX_set_options(native, SSL_OP_CIPHER_SERVER_PREFERENCE);
    ::SSL_CTX_set_alpn_select_cb(native, &select_alpn, nullptr);
    if (auto failed =
            use_certificate(native, "proxy.tls.cert_file", from.cert_file, "proxy.tls.key_file", from.key_file))
        return *failed;
    if (!from.ca_file.empty()) {
        if (auto failed = trust(native, "proxy.tls.ca_file", from.ca_file)) return *failed;
        if (auto* names = ::SSL_load_client_CA_file(from.ca_file.c_str())) ::SSL_CTX_set_client_CA_list(native, names);
        const bool demanded = from.mode >= settings::tls_mode::verify_ca;
        ::SSL_CTX_set_verify(native, SSL_VERIFY_PEER | (demanded ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    }
    return made;
}

result<context, fault> context::of_server(const settings::server_tls& from) {
    context made{::SSL_CTX_new(::TLS_client_method())};
    auto* native = made.native();
    if (native == nullptr) return fault{"TLS to the database: " + openssl_reason()};
    bound(native);
    ::SSL_CTX_set_alpn_protos(native, alpn.data(), alpn.size());
    if (!from.cert_file.empty()) {
        if (auto failed = use_certificate(native, "sslcert", from.cert_file, "sslkey", from.key_file)) return *failed;
    }
    if (!from.ca_file.empty()) {
        if (auto failed = trust(native, "sslrootcert", from.ca_file)) return *failed;
    }
    if (from.verifies_authority()) ::SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
    return made;
}

std::optional<std::chrono::system_clock::time_point> context::expires() const {
    const auto* own = ::SSL_CTX_get0_certificate(native());
    std::tm at{};
    if (own == nullptr || ::ASN1_TIME_to_tm(::X509_get0_notAfter(own), &at) != 1) return std::nullopt;
    return std::chrono::system_clock::from_time_t(::timegm(&at));
}

std::string end_point_hash(const X509* certificate) {
    int digest_id = NID_undef;
    if (certificate == nullptr ||
        ::OBJ_find_sigid_algs(::X509_get_signature_nid(certificate), &digest_id, nullptr) != 1)
        return {};
    // RFC 5929, 4.1: MD5 and SHA-1 count as SHA-256.
    const EVP_MD* digest =
        digest_id == NID_md5 || digest_id == NID_sha1 ? ::EVP_sha256() : ::EVP_get_digestbynid(digest_id);
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
    unsigned int length = 0;
    if (digest == nullptr || ::X509_digest(certificate, digest, hash.data(), &length) != 1) return {};
    return {reinterpret_cast<const char*>(hash.data()), length};
}

}  // namespace crossfade::tls
