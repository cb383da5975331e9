#pragma once

#include <boost/system/result.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/settings/settings.hpp"
#include "lib/tls/context.hpp"
#include "proxy/frontend/transport.hpp"

namespace crossfade::proxy::frontend {

// The certificates and trusted authorities in force, read from their files. Swapped whole by a reload; a session keeps
// those that it began with.
struct encryption {
    std::optional<tls::context> listener;
    std::optional<tls::context> legacy;
    std::optional<tls::context> modern;

    const std::optional<tls::context>& of_server(settings::side which) const {
        return which == settings::side::modern ? modern : legacy;
    }

    // Fails when a file that the configuration names can't be used, with its key and file.
    static boost::system::result<encryption, tls::fault> of(const settings::configuration& config);
};

// For settings::reloader: why the certificates of a configuration can't be used; empty when they can.
std::vector<std::string> certificate_objections(const settings::configuration& config);

// Asks a database for TLS, as the dsn wants it, and runs the handshake. Nothing when the connection may be used, in the
// clear where the mode allows it; otherwise why not, for the log and the client.
asio::awaitable<std::optional<std::string>> secure_server(transport& server, const settings::database& to,
                                                          const std::optional<tls::context>& context);

}  // namespace crossfade::proxy::frontend
