#pragma once

#include <openssl/ssl.h>

#include <boost/system/result.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/settings/settings.hpp"

namespace crossfade::tls {

// Why a certificate, key or option can't be used: names the setting and the file, with OpenSSL's reason.
struct fault {
    std::string text;
};
[[noreturn]] void throw_exception_from_error(const fault& what, const boost::source_location& where);

// What the connections of one side have in common: certificates, trusted authorities, bounds. Immutable once made, so
// that connections made under it keep it when files are read anew. Thread-safe.
class context {
  public:
    // For what listens. Client certificates are asked for from mode verify_ca on. A client that asks for the name of
    // one of `from.hosts` by SNI gets that one's certificate, any other one the listener's own.
    static boost::system::result<context, fault> of_listener(const settings::listener_tls& from);
    // For connections to a database; `from.mode` other than disable.
    static boost::system::result<context, fault> of_server(const settings::server_tls& from);

    SSL_CTX* native() const { return native_.get(); }

    // When the first of our own certificates ends to be valid; nothing without one.
    std::optional<std::chrono::system_clock::time_point> expires() const;

  private:
    explicit context(SSL_CTX* native) : native_(native, &::SSL_CTX_free) {}

    std::shared_ptr<SSL_CTX> native_;
};

// The hash of a certificate that SCRAM binds to: "tls-server-end-point" of RFC 5929. Empty when its signature names no
// usable digest.
std::string end_point_hash(const X509* certificate);

}  // namespace crossfade::tls
