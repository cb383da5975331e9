// Who may come in, and how the session gets into the database.
#include <spdlog/spdlog.h>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/startup.hpp"
#include "proxy/frontend/login.hpp"
#include "proxy/frontend/peer.hpp"
#include "proxy/frontend/session.hpp"
#include "proxy/strategy/tenant.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace sqlstate = pgwire::sqlstate;

}  // namespace

asio::awaitable<std::optional<session::identity>> session::admit(pgwire::startup_message& opening,
                                                                 message_reader& from) {
    const auto snapshot = in_force_;
    const auto decided = auth::decide(snapshot->config.proxy.access, facts_of(client_, opening));
    if (const auto* refused = std::get_if<auth::access_refused>(&decided)) {
        spdlog::info("refused a session: {}", refused->reason);
        co_await refuse(session_end::refused, sqlstate::invalid_authorization, refused->message);
        co_return std::nullopt;
    }
    const auto method = std::get<auth::access_allowed>(decided).method;
    if (method == auth::access_method::relay) co_return identity{};

    const auto gone = co_await negotiate(client_, opening);
    if (gone) co_return std::nullopt;
    const std::string user{opening.parameter("user")};
    const auto authority =
        snapshot->config.authority_of(strategy::tenant_of(snapshot->config.tenants, opening.parameters));
    if (method == auth::access_method::cert) {
        auto found = co_await around_.keeper.find(user, snapshot, authority);
        if (!found) spdlog::warn("log-in by certificate: {}", found.error().reason);
        const auto* known = found && *found ? &**found : nullptr;
        co_return identity{true, pgwire::build_authentication(pgwire::authentication::ok),
                           auth::secret_for_server(known, std::nullopt)};
    }
    auto shown = co_await prove_by_scram(client_, from, around_.keeper, snapshot, authority, user);
    if (!shown) {
        spdlog::info("refused a log-in: {}", shown.error().reason);
        ends_by(session_end::login_failed);
        std::string message = std::move(shown.error().message);
        co_await say_goodbye(std::move(message));
        co_return std::nullopt;
    }
    co_return identity{true, std::move(shown->acceptance),
                       auth::secret_for_server(shown->known ? &*shown->known : nullptr, shown->keys)};
}

asio::awaitable<bool> session::log_in(const route& going, identity as) {
    const auto opening = pgwire::build(going.opening);
    const auto failed = co_await server_.write(opening);
    if (failed) {
        co_await refuse(session_end::unreachable, sqlstate::connection_failure,
                        "the " + std::string{settings::to_string(going.authority)} + " database closed the connection");
        co_return false;
    }
    if (!as.proven) co_return true;

    message_reader from_server{server_};
    auto let_in =
        co_await log_in_to_server(server_, from_server, login_to(going.authority, server_, std::move(as.secret)));
    if (!let_in) {
        spdlog::warn("no log-in to the {} database: {}", settings::to_string(going.authority), let_in.error().reason);
        ends_by(session_end::login_failed);
        std::string message = std::move(let_in.error().message);
        co_await say_goodbye(std::move(message));
        co_return false;
    }
    to_client_.begin_with(from_server.take_rest());
    const auto unheard = co_await client_.write(as.acceptance + let_in->notices);
    if (!unheard) co_return true;
    ends_by(session_end::client_left);
    co_return false;
}

std::unique_ptr<session::papers> session::papers_of(const pgwire::startup_message& opening, const identity& who) {
    auto kept = std::make_unique<papers>();
    kept->opening = pgwire::build(opening);
    kept->opening.shrink_to_fit();
    if (who.proven) kept->secret = std::make_unique<const auth::login_secret>(who.secret);
    return kept;
}

auth::server_login session::login_to(settings::side which, const transport& server, auth::login_secret secret) const {
    const auto& database = in_force_->config.database_of(which);
    auth::server_login::options how;
    how.cache = &around_.keeper.keys();
    how.may_send_password =
        database.server.host.starts_with('/') || (server.tls() != nullptr && database.tls.verifies_authority());
    if (server.tls() != nullptr) {
        if (auto hash = server.tls()->peer_end_point_hash(); !hash.empty()) how.end_point = std::move(hash);
    }
    return {place_.user(), std::move(secret), std::move(how)};
}

bool session::channel_binding_passes() const {
    if (server_.tls() == nullptr) return true;
    if (client_.tls() == nullptr) return false;
    // With the database's own certificate the proxy is that end point.
    const auto bound = client_.tls()->own_end_point_hash();
    return !bound.empty() && bound == server_.tls()->peer_end_point_hash();
}

void session::client_misunderstood_binding() {
    spdlog::warn("refused a session: SCRAM through a proxy with TLS on both sides");
    bid_farewell(
        {pgwire::build_fatal(sqlstate::invalid_authorization, "SCRAM authentication can't be relayed from TLS to TLS",
                             "Use proxy.auth.mode terminate, or channel_binding=disable in the client, or give the "
                             "proxy the database's own "
                             "certificate and key (proxy.tls.cert_file, proxy.tls.key_file), or "
                             "sslmode=disable on one of the two ways."),
         session_end::login_failed, farewell::moment::boundary});
}

}  // namespace crossfade::proxy::frontend
