#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/auth/server_login.hpp"

namespace crossfade::auth {

// A self-signed certificate for 127.0.0.1 (P-256, SHA-256).
struct certificate {
    std::string pem;
    std::string key_pem;
};
certificate make_certificate();

struct message {
    char type = 0;
    std::string body;
};

// One end of a connection, blocking, with or without TLS. Throws when the other end leaves or stalls.
class wire {
  public:
    explicit wire(int socket);
    static wire connect(std::uint16_t port);

    void send(std::string_view bytes);
    std::string read(std::size_t count);
    message read_message();
    std::string read_startup();  // with its length

    void start_tls_as_client();  // verifies nothing
    void start_tls_as_server(const certificate& with);
    std::string end_point() const;  // tls-server-end-point, for either end

  private:
    struct close_socket {
        int fd = -1;
        explicit close_socket(int of) : fd(of) {}
        close_socket(close_socket&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
        ~close_socket();
    };
    struct free_tls {
        void operator()(SSL* of) const { SSL_free(of); }
    };

    close_socket socket_;
    std::unique_ptr<SSL, free_tls> tls_;
};

// Logs in to the server at `port` as server_login has it. Says "ready", the server's SQLSTATE, or what server_login
// said. With `tls` the channel is bound where the server offers that.
enum class encrypted { no, yes };
std::string log_in(std::uint16_t port, const std::string& user, login_secret secret, encrypted tls = encrypted::no);

}  // namespace crossfade::auth
