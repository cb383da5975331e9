#include "proxy/frontend/greeting.hpp"

#include <array>
#include <boost/throw_exception.hpp>
#include <stdexcept>

#include "lib/pgwire/diagnostics.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace sqlstate = pgwire::sqlstate;
using boost::system::result;
using pgwire::startup_fault;

// The first byte of a TLS handshake record; a start-up packet of that length would be 370 MB long.
constexpr char tls_handshake = 0x16;

no_greeting refused(std::string message, std::string_view code = sqlstate::protocol_violation) {
    return {std::move(message), code};
}

std::string message_of(startup_fault fault) {
    std::string text{pgwire::to_string(fault)};
    if (fault == startup_fault::unknown_version) text += ": Crossfade speaks version 3";
    if (fault == startup_fault::malformed) text += ", or names no user";
    return text;
}

// Whether another one of its kind has been answered before. Inside TLS there is nothing left to ask.
struct encryption_questions {
    bool ssl = false;
    bool gssenc = false;

    bool repeated(const pgwire::startup_packet& asked, const transport& client) {
        if (client.tls() != nullptr) return true;
        bool& before = std::holds_alternative<pgwire::ssl_request>(asked) ? ssl : gssenc;
        return std::exchange(before, true);
    }
};

asio::awaitable<std::optional<no_greeting>> start_tls(transport& client, const tls::context& with, std::string first) {
    auto failed = co_await client.secure(std::make_unique<tls::engine>(with), std::move(first));
    if (!failed) co_return std::nullopt;
    auto refusal = refused(std::move(*failed));
    refusal.tls_failed = true;
    co_return refusal;
}

}  // namespace

void throw_exception_from_error(const no_greeting& why, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(why.message), where);
}

asio::awaitable<result<greeting, no_greeting>> read_greeting(transport& client, std::shared_ptr<const encryption> with,
                                                             settings::tls_mode mode) {
    std::string bytes;
    encryption_questions answered;
    for (;;) {
        auto extent = pgwire::startup_extent(bytes);
        while (extent && !extent->complete) {
            std::array<char, 4 + pgwire::max_startup_body> chunk;
            const auto room = std::span{chunk}.first(chunk.size() - bytes.size());
            const auto [failed, read] = co_await client.read_some(room);
            if (failed) co_return no_greeting{};
            bytes.append(chunk.data(), read);
            if (bytes.front() == tls_handshake && client.tls() == nullptr && !answered.ssl) {
                if (!with->listener) co_return refused("this proxy has no TLS: set proxy.tls, or use sslmode=disable");
                auto failure = co_await start_tls(client, *with->listener, std::exchange(bytes, {}));
                if (failure) co_return std::move(*failure);
                if (!client.tls()->speaks_postgresql())
                    co_return refused("TLS without SSLRequest needs the protocol's name by ALPN: postgresql");
            }
            extent = pgwire::startup_extent(bytes);
        }
        if (!extent) co_return refused(message_of(extent.error()));

        auto packet = pgwire::parse_startup(std::string_view{bytes}.substr(0, extent->needed));
        if (!packet) co_return refused(message_of(packet.error()));
        bytes.erase(0, extent->needed);
        if (auto* cancel = std::get_if<pgwire::cancel_request>(&*packet)) co_return greeting{std::move(*cancel), {}};
        if (auto* message = std::get_if<pgwire::startup_message>(&*packet)) {
            if (mode >= settings::tls_mode::require && client.tls() == nullptr)
                co_return refused("this proxy takes sessions with TLS only: use sslmode=require or more",
                                  sqlstate::invalid_authorization);
            co_return greeting{std::move(*message), std::move(bytes)};
        }

        if (!bytes.empty()) co_return refused("unencrypted data sent before the answer to an encryption request");
        if (answered.repeated(*packet, client)) co_return refused("encryption requested twice");
        const bool accepted = with->listener && std::holds_alternative<pgwire::ssl_request>(*packet);
        const auto failed = co_await client.write(accepted ? "S" : "N");
        if (failed) co_return no_greeting{};
        if (accepted) {
            auto failure = co_await start_tls(client, *with->listener, {});
            if (failure) co_return std::move(*failure);
        }
    }
}

}  // namespace crossfade::proxy::frontend
