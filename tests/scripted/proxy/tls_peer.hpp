#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "tests/scripted/proxy/peer.hpp"

namespace crossfade::proxy::test {

// A client under TLS that decides itself which bytes make a record, and which a packet.
class tls_peer {
  public:
    // Asks for TLS as PostgreSQL's clients do and shakes hands. Believes any certificate.
    explicit tls_peer(peer over);

    // Of one record with these bytes, to be sent in this order. Up to 16 KiB.
    std::string sealed(std::string_view plain);
    // Bytes as they are.
    void send(std::string_view raw, std::size_t pieces = 0) { wire_.send(raw, pieces); }
    // So many plain bytes; fewer when the other side closes, or is silent for some seconds.
    std::string read(std::size_t count);
    // Of the records that came, the longest one's body.
    std::size_t longest_record() const { return longest_record_; }

  private:
    struct release {
        void operator()(SSL_CTX* of) const { ::SSL_CTX_free(of); }
        void operator()(SSL* of) const { ::SSL_free(of); }
    };
    std::string outgoing();
    bool receive_record();

    peer wire_;
    std::unique_ptr<SSL_CTX, release> context_;
    std::unique_ptr<SSL, release> ssl_;
    BIO* in_;   // owned by ssl_
    BIO* out_;  // likewise
    std::size_t longest_record_ = 0;
};

}  // namespace crossfade::proxy::test
