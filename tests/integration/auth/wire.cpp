#include "tests/integration/auth/wire.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/startup.hpp"
#include "lib/tls/context.hpp"

namespace crossfade::auth {
namespace {

void require(bool done, const char* what) {
    if (!done) throw std::runtime_error(what);
}

template <auto free>
struct with {
    template <class T>
    void operator()(T* of) const {
        free(of);
    }
};
using context = std::unique_ptr<SSL_CTX, with<SSL_CTX_free>>;
using memory = std::unique_ptr<BIO, with<BIO_free_all>>;

std::string content(const memory& of) {
    char* bytes = nullptr;
    const auto length = BIO_get_mem_data(of.get(), &bytes);
    return {bytes, static_cast<std::size_t>(length)};
}

}  // namespace

certificate make_certificate() {
    const std::unique_ptr<EVP_PKEY, with<EVP_PKEY_free>> pair(EVP_EC_gen("P-256"));
    const std::unique_ptr<X509, with<X509_free>> made(X509_new());
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
    X509_set_pubkey(made.get(), pair.get());
    auto* name = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("127.0.0.1"), -1, -1,
                               0);
    X509_set_issuer_name(made.get(), name);
    require(X509_sign(made.get(), pair.get(), EVP_sha256()) > 0, "no certificate");

    const memory pem(BIO_new(BIO_s_mem()));
    const memory key_pem(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(pem.get(), made.get());
    PEM_write_bio_PrivateKey(key_pem.get(), pair.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return {content(pem), content(key_pem)};
}

wire::close_socket::~close_socket() {
    if (fd >= 0) ::close(fd);
}

wire::wire(int socket) : socket_(socket) {
    require(socket >= 0, "no socket");
    const timeval patience{.tv_sec = 30, .tv_usec = 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

wire wire::connect(std::uint16_t port) {
    wire made(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    require(::connect(made.socket_.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0, "no connection");
    return made;
}

void wire::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = tls_ ? SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                               : ::send(socket_.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        require(sent > 0, "the other end does not read");
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

std::string wire::read(std::size_t count) {
    std::string bytes(count, '\0');
    for (std::size_t have = 0; have < count;) {
        const auto got = tls_ ? SSL_read(tls_.get(), bytes.data() + have, static_cast<int>(count - have))
                              : ::recv(socket_.fd, bytes.data() + have, count - have, 0);
        require(got > 0, "the other end has left");
        have += static_cast<std::size_t>(got);
    }
    return bytes;
}

message wire::read_message() {
    const auto header = read(5);
    const auto length = pgwire::byte_reader(std::string_view(header).substr(1)).u32();
    require(length >= 4 && length < 100000, "no message");
    return {header.front(), read(length - 4)};
}

std::string wire::read_startup() {
    auto packet = read(4);
    const auto length = pgwire::byte_reader(packet).u32();
    require(length >= 8 && length < 10000, "no start-up packet");
    return packet + read(length - 4);
}

void wire::start_tls_as_client() {
    const context made(SSL_CTX_new(TLS_client_method()));
    tls_.reset(SSL_new(made.get()));
    SSL_set_fd(tls_.get(), socket_.fd);
    require(SSL_connect(tls_.get()) == 1, "no TLS");
}

void wire::start_tls_as_server(const certificate& with) {
    const context made(SSL_CTX_new(TLS_server_method()));
    const memory pem(BIO_new_mem_buf(with.pem.data(), static_cast<int>(with.pem.size())));
    const memory key_pem(BIO_new_mem_buf(with.key_pem.data(), static_cast<int>(with.key_pem.size())));
    const std::unique_ptr<X509, auth::with<X509_free>> shown(PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr));
    const std::unique_ptr<EVP_PKEY, auth::with<EVP_PKEY_free>> pair(
        PEM_read_bio_PrivateKey(key_pem.get(), nullptr, nullptr, nullptr));
    SSL_CTX_use_certificate(made.get(), shown.get());
    SSL_CTX_use_PrivateKey(made.get(), pair.get());
    tls_.reset(SSL_new(made.get()));
    SSL_set_fd(tls_.get(), socket_.fd);
    require(SSL_accept(tls_.get()) == 1, "no TLS");
}

std::string wire::end_point() const {
    const auto* shown =
        SSL_is_server(tls_.get()) == 1 ? SSL_get_certificate(tls_.get()) : SSL_get0_peer_certificate(tls_.get());
    auto hash = tls::end_point_hash(shown);
    require(!hash.empty(), "no end point");
    return hash;
}

std::string log_in(std::uint16_t port, const std::string& user, login_secret secret, encrypted tls) {
    auto server = wire::connect(port);
    server_login::options how{.may_send_password = true, .end_point = std::nullopt};
    if (tls == encrypted::yes) {
        server.send(pgwire::build(pgwire::ssl_request{}));
        require(server.read(1) == "S", "the server has no TLS");
        server.start_tls_as_client();
        how.end_point = server.end_point();
    }
    server.send(pgwire::build(pgwire::startup_message{{}, {{"user", user}, {"database", "app"}}}));
    server_login login(user, std::move(secret), how);
    for (;;) {
        const auto next = server.read_message();
        if (next.type == pgwire::backend::authentication) {
            const auto step = login.receive(next.body);
            if (!step) return step.error().what;
            server.send(step->message);
        } else if (next.type == pgwire::backend::error_response) {
            return std::string(pgwire::parse_diagnostics(next.body).value().sqlstate());
        } else if (next.type == pgwire::backend::ready_for_query) {
            return "ready";
        }
    }
}

}  // namespace crossfade::auth
