#include "lib/tls/engine.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace crossfade::tls {
namespace {

bool is_address(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> parsed{};
    return ::inet_pton(AF_INET, host.c_str(), parsed.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), parsed.data()) == 1;
}

}  // namespace

struct engine::bio {
    static engine& of(BIO* self) { return *static_cast<engine*>(::BIO_get_data(self)); }

    static int read(BIO* self, char* into, int room) {
        auto& unread = of(self).unread_;
        ::BIO_clear_retry_flags(self);
        if (unread.empty()) {
            ::BIO_set_retry_read(self);
            return -1;
        }
        const auto count = std::min(unread.size(), static_cast<std::size_t>(room));
        std::memcpy(into, unread.data(), count);
        unread.remove_prefix(count);
        return static_cast<int>(count);
    }

    static int write(BIO* self, const char* bytes, int count) {
        ::BIO_clear_retry_flags(self);
        of(self).out_->append(bytes, static_cast<std::size_t>(count));
        return count;
    }

    static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

    static BIO* make(engine& owner) {
        static BIO_METHOD* const method = [] {
            auto* made = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "crossfade");
            ::BIO_meth_set_read(made, &bio::read);
            ::BIO_meth_set_write(made, &bio::write);
            ::BIO_meth_set_ctrl(made, &bio::control);
            return made;
        }();
        auto* made = ::BIO_new(method);
        if (made == nullptr) throw std::bad_alloc{};
        ::BIO_set_data(made, &owner);
        ::BIO_set_init(made, 1);
        return made;
    }
};

engine::engine(SSL* made) : ssl_(made) {
    if (!ssl_) throw std::bad_alloc{};
    auto* network = bio::make(*this);
    ::SSL_set_bio(ssl_.get(), network, network);
}

engine::engine(const context& of) : engine(::SSL_new(of.native())) {
    ::SSL_set_accept_state(ssl_.get());
}

engine::engine(const context& of, const settings::server_tls& settings, const std::string& host)
    : engine(::SSL_new(of.native())) {
    ::SSL_set_connect_state(ssl_.get());
    if (!settings.cert_file.empty())
        // SSL_CTX_set_cert_cb(3): a client's is called when it is asked for its certificate.
        ::SSL_set_cert_cb(
            ssl_.get(),
            [](SSL*, void* self) {
                static_cast<engine*>(self)->showed_certificate_ = true;
                return 1;
            },
            this);
    const bool address = is_address(host);
    if (settings.sni && !address) ::SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
    if (settings.mode == settings::tls_mode::verify_full) {
        auto* wanted = ::SSL_get0_param(ssl_.get());
        if (address) {
            ::X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str());
        } else {
            ::X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
            ::X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size());
        }
    }
}

engine::~engine() = default;

void engine::feed(std::string_view from_network) {
    if (unread_.empty()) {
        unread_ = from_network;
        return;
    }
    std::string rest{unread_};
    rest.append(from_network);
    kept_ = std::move(rest);
    unread_ = kept_;
}

void engine::keep() {
    std::string rest{unread_};
    kept_ = std::move(rest);
    unread_ = kept_;
}

engine::outcome engine::judge(int returned) {
    switch (::SSL_get_error(ssl_.get(), returned)) {
        case SSL_ERROR_WANT_READ:
            unread_ = {};
            kept_.clear();
            return outcome::wants_more;
        case SSL_ERROR_ZERO_RETURN:
            return outcome::closed;
        default:
            break;
    }
    reason_.clear();
    while (const auto code = ::ERR_get_error()) {
        const char* text = ::ERR_reason_error_string(code);
        if (text == nullptr) continue;
        if (!reason_.empty()) reason_ += "; ";
        reason_ += text;
    }
    if (const auto verdict = ::SSL_get_verify_result(ssl_.get()); verdict != X509_V_OK)
        reason_ += std::string{reason_.empty() ? "" : ": "} + ::X509_verify_cert_error_string(verdict);
    if (reason_.empty()) reason_ = "the connection ended in the middle";
    return outcome::failed;
}

engine::outcome engine::handshake(std::string& out) {
    out_ = &out;
    ::ERR_clear_error();
    const int returned = ::SSL_do_handshake(ssl_.get());
    if (returned != 1) return judge(returned);
    keep();
    return outcome::done;
}

engine::taken engine::read(std::span<char> into, std::string& out) {
    out_ = &out;
    ::ERR_clear_error();
    std::size_t count = 0;
    const int returned = ::SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
    if (returned == 1) return {outcome::done, count};
    return {judge(returned), 0};
}

bool engine::write(std::string_view plain, std::string& out) {
    out_ = &out;
    while (!plain.empty()) {
        ::ERR_clear_error();
        std::size_t count = 0;
        const int returned = ::SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &count);
        if (returned != 1) {
            judge(returned);
            return false;
        }
        plain.remove_prefix(count);
    }
    return true;
}

void engine::close(std::string& out) {
    out_ = &out;
    ::ERR_clear_error();
    ::SSL_shutdown(ssl_.get());
}

std::string_view engine::version() const {
    return ::SSL_get_version(ssl_.get());
}

bool engine::speaks_postgresql() const {
    const unsigned char* chosen = nullptr;
    unsigned int length = 0;
    ::SSL_get0_alpn_selected(ssl_.get(), &chosen, &length);
    return length > 0;
}

std::string engine::peer_common_name() const {
    const auto* certificate = ::SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr || ::SSL_get_verify_result(ssl_.get()) != X509_V_OK) return {};
    auto* subject = ::X509_get_subject_name(certificate);
    const int at = ::X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    // Of several common names none can be trusted to be the one that is meant.
    if (at < 0 || ::X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return {};
    unsigned char* text = nullptr;
    const int length = ::ASN1_STRING_to_UTF8(&text, ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(subject, at)));
    if (length < 0) return {};
    std::string name{reinterpret_cast<const char*>(text), static_cast<std::size_t>(length)};
    ::OPENSSL_free(text);
    // A zero byte inside would let "ann\0.example" pass for "ann" with whoever compares C strings.
    if (name.find('\0') != std::string::npos) name.clear();
    return name;
}

std::string engine::peer_end_point_hash() const {
    return end_point_hash(::SSL_get0_peer_certificate(ssl_.get()));
}

std::string engine::own_end_point_hash() const {
    return end_point_hash(::SSL_get_certificate(ssl_.get()));
}

}  // namespace crossfade::tls
