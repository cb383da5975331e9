#include "tests/scripted/proxy/tls_peer.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>

#include <algorithm>
#include <stdexcept>

#include "lib/pgwire/startup.hpp"

namespace crossfade::proxy::test {

tls_peer::tls_peer(peer over)
    : wire_(std::move(over)),
      context_(::SSL_CTX_new(::TLS_client_method())),
      ssl_(::SSL_new(context_.get())),
      in_(::BIO_new(::BIO_s_mem())),
      out_(::BIO_new(::BIO_s_mem())) {
    ::SSL_set_bio(ssl_.get(), in_, out_);
    wire_.send(pgwire::build(pgwire::ssl_request{}));
    wire_.expect("S");
    for (;;) {
        const int done = ::SSL_connect(ssl_.get());
        wire_.send(outgoing());
        if (done == 1) return;
        if (::SSL_get_error(ssl_.get(), done) != SSL_ERROR_WANT_READ || !receive_record())
            throw std::runtime_error("no TLS");
    }
}

std::string tls_peer::sealed(std::string_view plain) {
    EXPECT_EQ(::SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())), static_cast<int>(plain.size()));
    return outgoing();
}

std::string tls_peer::read(std::size_t count) {
    std::string plain(count, '\0');
    std::size_t got = 0;
    while (got < count) {
        const int read = ::SSL_read(ssl_.get(), plain.data() + got, static_cast<int>(count - got));
        if (read > 0)
            got += static_cast<std::size_t>(read);
        else if (::SSL_get_error(ssl_.get(), read) != SSL_ERROR_WANT_READ || !receive_record())
            break;
    }
    plain.resize(got);
    return plain;
}

std::string tls_peer::outgoing() {
    std::string bytes(::BIO_ctrl_pending(out_), '\0');
    ::BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
}

bool tls_peer::receive_record() {
    constexpr std::size_t header = 5;
    auto record = wire_.read(header);
    if (record.size() < header) return false;
    const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(record[at])); };
    const auto length = byte(3) << 8 | byte(4);
    longest_record_ = std::max(longest_record_, length);
    record += wire_.read(length);
    ::BIO_write(in_, record.data(), static_cast<int>(record.size()));
    return record.size() == header + length;
}

}  // namespace crossfade::proxy::test
