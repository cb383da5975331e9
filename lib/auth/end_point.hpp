#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace crossfade::auth {

// tls-server-end-point's bytes (RFC 5929, section 4): the hash of the server's certificate (DER) by the algorithm of
// its signature, SHA-256 in place of MD5 and SHA-1. Nothing for what is no certificate and for signatures without a
// hash of their own (Ed25519), for which PostgreSQL can't bind either.
std::optional<std::string> tls_server_end_point(std::string_view certificate);

}  // namespace crossfade::auth
