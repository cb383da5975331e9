#include "proxy/frontend/encryption.hpp"

#include "lib/pgwire/startup.hpp"

namespace crossfade::proxy::frontend {

using boost::system::result;
using settings::tls_mode;

result<encryption, tls::fault> encryption::of(const settings::configuration& config) {
    encryption made;
    if (config.proxy.tls.mode != tls_mode::disable) {
        auto listener = tls::context::of_listener(config.proxy.tls);
        if (!listener) return listener.error();
        made.listener = std::move(*listener);
    }
    for (const auto& [database, name, into] :
         {std::tuple{&config.legacy, "legacy.dsn: ", &made.legacy}, {&config.modern, "modern.dsn: ", &made.modern}}) {
        if (database->tls.mode == tls_mode::disable) continue;
        auto context = tls::context::of_server(database->tls);
        if (!context) return tls::fault{name + context.error().text};
        *into = std::move(*context);
    }
    return made;
}

std::vector<std::string> certificate_objections(const settings::configuration& config) {
    const auto read = encryption::of(config);
    return read ? std::vector<std::string>{} : std::vector{read.error().text};
}

asio::awaitable<std::optional<std::string>> secure_server(transport& server, const settings::database& to,
                                                          const std::optional<tls::context>& context) {
    if (!context || to.tls.mode == tls_mode::disable) co_return std::nullopt;
    const auto request = pgwire::build(pgwire::ssl_request{});
    const auto unsent = co_await server.write(request);
    if (unsent) co_return "it closed the connection when asked for TLS";
    // One more than the answer has: what comes with it was put there by somebody on the way (CVE-2021-23222).
    std::array<char, 2> answer;
    const auto [failed, read] = co_await server.read_some(answer);
    if (failed) co_return "it closed the connection when asked for TLS";
    if (read > 1) co_return "it sent unencrypted data behind its answer to the request for TLS";
    if (answer[0] == 'N') {
        if (to.tls.mode == tls_mode::prefer) co_return std::nullopt;
        co_return "it does not offer TLS, and sslmode=" + std::string{settings::to_string(to.tls.mode)} +
            " asks for it";
    }
    if (answer[0] != 'S') co_return "its answer to the request for TLS is none";
    auto failed_handshake = co_await server.secure(std::make_unique<tls::engine>(*context, to.tls, to.host), {});
    if (!failed_handshake) co_return std::nullopt;
    co_return "TLS failed: " + (failed_handshake->empty() ? "it closed the connection" : *failed_handshake);
}

}  // namespace crossfade::proxy::frontend
