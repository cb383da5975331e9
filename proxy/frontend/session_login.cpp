// Who may come in, and how the session gets into the database.
#include <spdlog/spdlog.h>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/startup.hpp"
#include "proxy/frontend/login.hpp"
#include "proxy/frontend/peer.hpp"
#include "proxy/frontend/session.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace sqlstate = pgwire::sqlstate;

}  // namespace

asio::awaitable<std::optional<session::identity>> session::admit(pgwire::startup_message& opening,
                                                                 message_reader& from) {
    const auto snapshot = in_force_;
    const auto facts = facts_of(client_, opening, same_database(snapshot->config, opening.database()));
    if (!facts) {
        ends_by(session_end::client_left);
        co_return std::nullopt;
    }
    const auto decided = auth::decide(snapshot->config.proxy.access, *facts);
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
    const auto authority = strategy::authority_of(*snapshot, facts_);
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
    message_reader from_server{server_};
    if (!as.proven) {
        const auto how = own_proof_to(server_);
        if (how.empty()) co_return true;
        const bool asked = co_await is_asked(going.authority, how, from_server);
        co_return asked;
    }

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

std::string_view session::own_proof_to(const transport& server) const {
    if (server.tls() != nullptr && server.tls()->showed_certificate()) return "by the proxy's own certificate";
    if (is_unix_socket(server.descriptor()) && !is_of_our_user(client_.descriptor()))
        return "by the Unix user that the proxy runs as";
    return {};
}

// Until the database has asked, nothing of the client's goes to it: a statement behind the start-up message would be
// carried out as soon as the database lets the proxy in.
asio::awaitable<bool> session::is_asked(settings::side which, std::string_view proof, message_reader& from) {
    auto heard = co_await hear_first_question(from);
    if (!heard) {
        spdlog::warn("no log-in to the {} database: {}", settings::to_string(which), heard.error().reason);
        ends_by(session_end::login_failed);
        std::string message = std::move(heard.error().message);
        co_await say_goodbye(std::move(message));
        co_return false;
    }
    if (!heard->let_in) {
        to_client_.begin_with(heard->said + from.take_rest());
        co_return true;
    }
    const auto text = "the " + std::string{settings::to_string(which)} +
                      " database has asked its client for nothing, and may have let it in " + std::string{proof};
    spdlog::warn("refused a session: {}", text);
    ends_by(session_end::login_failed);
    co_await say_goodbye(pgwire::build_fatal(
        sqlstate::invalid_authorization, text,
        "Use proxy.auth.mode terminate, or have pg_hba.conf ask clients for a password (scram-sha-256; with "
        "clientcert=verify-ca the proxy's certificate is asked for as well)."));
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
