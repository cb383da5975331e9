#include "lib/tls/context.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <boost/throw_exception.hpp>
#include <map>
#include <stdexcept>

#include "lib/pgwire/ascii.hpp"

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

// As libpq and PostgreSQL look at them; but one that can't be read is an error, and not as good as none.
std::optional<fault> refuse_revoked(SSL_CTX* of, std::string_view setting, const std::string& file,
                                    const std::string& directory = {}) {
    if (file.empty() && directory.empty()) return std::nullopt;
    ::ERR_clear_error();
    auto* const store = ::SSL_CTX_get_cert_store(of);
    if (!file.empty()) {
        auto* const lookup = ::X509_STORE_add_lookup(store, ::X509_LOOKUP_file());
        if (lookup == nullptr || ::X509_load_crl_file(lookup, file.c_str(), X509_FILETYPE_PEM) < 1)
            return unusable(setting, file);
    }
    // Read when they are needed: without one for a certificate's issuer the certificate isn't believed.
    if (!directory.empty() && ::X509_STORE_load_locations(store, nullptr, directory.c_str()) != 1)
        return unusable("sslcrldir", directory);
    ::X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
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

// The certificates that are chosen by SNI. Owned by the SSL_CTX of the listener itself, which its connections keep
// alive whatever becomes of the `context`.
class host_list {
  public:
    static const host_list* of(const SSL_CTX* listener) {
        return static_cast<const host_list*>(::SSL_CTX_get_ex_data(listener, slot()));
    }

    // Nothing when all could be read.
    static std::optional<fault> give(SSL_CTX* listener, const std::vector<settings::host_certificate>& hosts) {
        auto made = std::make_unique<host_list>();
        for (const auto& host : hosts) {
            const auto key = "proxy.tls.hosts." + std::to_string(&host - hosts.data() + 1);
            holder certificate{::SSL_CTX_new(::TLS_server_method()), &::SSL_CTX_free};
            if (!certificate) return fault{key + ": " + openssl_reason()};
            if (auto failed = use_certificate(certificate.get(), key + ".cert_file", host.cert_file, key + ".key_file",
                                              host.key_file))
                return failed;
            auto* const own = ::SSL_CTX_get0_certificate(certificate.get());
            for (const auto& name : host.names) {
                // Two hosts' files exchanged would else show only where a client checks the name.
                if (!name.starts_with('*') && ::X509_check_host(own, name.data(), name.size(), 0, nullptr) != 1)
                    return fault{key + ".cert_file " + host.cert_file + ": this certificate is not for " + name};
                made->by_name_[name] = certificate.get();
            }
            made->certificates_.push_back(std::move(certificate));
        }
        if (made->by_name_.empty()) return std::nullopt;
        if (::SSL_CTX_set_ex_data(listener, slot(), made.get()) != 1) return fault{"proxy.tls.hosts: out of memory"};
        made.release();
        ::SSL_CTX_set_cert_cb(listener, &choose, nullptr);
        return std::nullopt;
    }

    const std::vector<std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>>& certificates() const { return certificates_; }

  private:
    using holder = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;

    static int slot() {
        static const int taken = ::SSL_CTX_get_ex_new_index(
            0, nullptr, nullptr, nullptr,
            [](void*, void* list, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<host_list*>(list); });
        return taken;
    }

    // Null: none of them. A star stands for one label (RFC 6125, 6.4.3).
    SSL_CTX* find(std::string_view asked) const {
        const auto name = pgwire::lower_case(asked);
        auto found = by_name_.find(name);
        if (found == by_name_.end())
            if (const auto dot = name.find('.'); dot != std::string::npos)
                found = by_name_.find('*' + name.substr(dot));
        return found == by_name_.end() ? nullptr : found->second;
    }

    // SSL_CTX_set_cert_cb(3).
    static int choose(SSL* connection, void*) {
        const char* const asked = ::SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name);
        auto* const chosen = asked == nullptr ? nullptr : of(::SSL_get_SSL_CTX(connection))->find(asked);
        if (chosen == nullptr) return 1;
        STACK_OF(X509)* chain = nullptr;
        ::SSL_CTX_get0_chain_certs(chosen, &chain);
        // One of another kind of key, which the client may prefer, would stay beside it.
        ::SSL_certs_clear(connection);
        return ::SSL_use_cert_and_key(connection, ::SSL_CTX_get0_certificate(chosen), ::SSL_CTX_get0_privatekey(chosen),
                                      chain, 1);
    }

    std::vector<holder> certificates_;
    std::map<std::string, SSL_CTX*, std::less<>> by_name_;
};

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
    if (auto failed = host_list::give(native, from.hosts)) return *failed;
    if (!from.ca_file.empty()) {
        if (auto failed = trust(native, "proxy.tls.ca_file", from.ca_file)) return *failed;
        if (auto failed = refuse_revoked(native, "proxy.tls.crl_file", from.crl_file)) return *failed;
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
    if (auto failed = refuse_revoked(native, "sslcrl", from.crl_file, from.crl_dir)) return *failed;
    if (from.min_version == "1.3") ::SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
    if (from.verifies_authority()) ::SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
    return made;
}

std::optional<std::chrono::system_clock::time_point> context::expires() const {
    std::optional<std::chrono::system_clock::time_point> first;
    const auto look_at = [&](const SSL_CTX* of) {
        const auto* own = ::SSL_CTX_get0_certificate(of);
        std::tm at{};
        if (own == nullptr || ::ASN1_TIME_to_tm(::X509_get0_notAfter(own), &at) != 1) return;
        const auto then = std::chrono::system_clock::from_time_t(::timegm(&at));
        first = first ? std::min(*first, then) : then;
    };
    look_at(native());
    if (const auto* hosts = host_list::of(native()))
        for (const auto& each : hosts->certificates()) look_at(each.get());
    return first;
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
