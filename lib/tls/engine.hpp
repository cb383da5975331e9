#pragma once

#include <openssl/ssl.h>

#include <boost/system/result.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/tls/context.hpp"

namespace crossfade::tls {

// One connection's TLS without I/O: bytes of the network in, bytes for the network out. What is to be sent is appended
// to `out`, and has to go out in the order of the calls. After a failure only what is in `out` (an alert) may still be
// sent. Not thread-safe; stays where it is.
class engine {
  public:
    // The listener's end.
    explicit engine(const context& of);
    // The client's end. `host` for SNI, and for verification where the settings ask for it.
    engine(const context& of, const settings::server_tls& settings, const std::string& host);
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;
    ~engine();

    // Bytes that came. They must stay where they are until handshake() or read() has said that it wants more, or keep()
    // was called.
    void feed(std::string_view from_network);
    // Copies what was fed and isn't used up yet.
    void keep();

    enum class outcome { done, wants_more, closed, failed };
    // The client's end calls it once before anything was fed. What was fed beyond the handshake is kept for read().
    outcome handshake(std::string& out);

    struct taken {
        outcome what = outcome::wants_more;
        std::size_t bytes = 0;  // with done
    };
    // Call until it isn't done: only then all that was fed is used up. closed: the peer said that nothing follows.
    taken read(std::span<char> into, std::string& out);
    // False: the connection has failed.
    bool write(std::string_view plain, std::string& out);
    // The farewell of TLS; nothing may be written after it.
    void close(std::string& out);

    // After a failure: OpenSSL's reason, and why a certificate was refused. No bytes of the connection.
    const std::string& reason() const { return reason_; }

    // After the handshake.
    std::string_view version() const;
    bool speaks_postgresql() const;  // the peer agreed on it by ALPN
    // Of the peer's certificate, when it was asked for and is sound; empty without.
    std::string peer_common_name() const;
    std::string peer_end_point_hash() const;
    std::string own_end_point_hash() const;
    // Of the client's end: the server has asked for a certificate, and there was one to show.
    bool showed_certificate() const { return showed_certificate_; }

  private:
    struct free_ssl {
        void operator()(SSL* of) const { ::SSL_free(of); }
    };
    struct bio;  // the BIO through which OpenSSL sees the network

    explicit engine(SSL* made);
    outcome judge(int returned);

    std::unique_ptr<SSL, free_ssl> ssl_;
    std::string_view unread_;  // of what was fed
    std::string kept_;
    std::string* out_ = nullptr;  // during a call
    std::string reason_;
    bool showed_certificate_ = false;
};

}  // namespace crossfade::tls
