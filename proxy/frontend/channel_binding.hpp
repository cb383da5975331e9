#pragma once

#include <string>
#include <string_view>

// SCRAM through a relay that has TLS of its own.
namespace crossfade::proxy::frontend {

// SCRAM with channel binding binds to the certificate that the client sees, which is the proxy's. So a server's offer
// of it is left out on its way to the client (pgbouncer #522). `body`: an Authentication message's, inside `chunk`,
// which ends where a message ends. The whole chunk with another offer; empty when there is nothing to leave out.
std::string without_binding(std::string_view chunk, std::string_view body);

// A client under TLS that wasn't offered channel binding says that it could have done it ("y,,": RFC 5802, 6). A server
// that did offer it takes that for an attack.
bool denies_binding(std::string_view password_message);

}  // namespace crossfade::proxy::frontend
