#include "proxy/frontend/login.hpp"

#include <boost/throw_exception.hpp>
#include <stdexcept>
#include <vector>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/session_status.hpp"
#include "proxy/frontend/peer.hpp"

namespace crossfade::proxy::frontend {
namespace {

using boost::system::result;
namespace sqlstate = pgwire::sqlstate;

// What a database may say before it has let anybody in, in all: notices of its own, an error.
constexpr std::uint32_t most_of_server = 65535;
constexpr int most_server_messages = 1000;

login_refusal client_fault(message_reader::fault fault) {
    std::string reason{to_string(fault)};
    if (fault == message_reader::fault::gone) return {{}, std::move(reason)};
    auto message = pgwire::build_fatal(sqlstate::protocol_violation, reason);
    return {std::move(message), std::move(reason)};
}

login_refusal server_fault(std::string reason) {
    auto message = pgwire::build_fatal(sqlstate::connection_failure, "could not log in to the database: " + reason);
    return {std::move(message), std::move(reason)};
}

}  // namespace

void throw_exception_from_error(const login_refusal& refusal, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(refusal.reason), where);
}

std::optional<auth::connection_facts> facts_of(const transport& client, const pgwire::startup_message& opening,
                                               std::string_view known_as) {
    const auto address = address_of(client.descriptor());
    if (!address) return std::nullopt;
    auth::connection_facts facts{.address = *address,
                                 .tls = client.tls() != nullptr,
                                 .certificate_name = {},
                                 .user = std::string{opening.parameter("user")},
                                 .database = std::string{opening.database()},
                                 .known_as = std::string{known_as}};
    if (facts.tls) {
        if (auto name = client.tls()->peer_common_name(); !name.empty()) facts.certificate_name = std::move(name);
    }
    return facts;
}

asio::awaitable<error_code> negotiate(transport& client, pgwire::startup_message& opening) {
    const auto said = pgwire::settle_version(opening);
    if (said.empty()) co_return error_code{};
    co_return co_await client.write(said);
}

namespace {

asio::awaitable<result<auth::login_success, login_refusal>> converse(transport& client, message_reader& from,
                                                                     auth::client_login login) {
    std::string said = login.open();
    for (;;) {
        const auto failed = co_await client.write(said);
        if (failed) co_return client_fault(message_reader::fault::gone);
        auto heard = co_await from.next(auth::max_login_body);
        if (!heard) co_return client_fault(heard.error());
        if (heard->type != pgwire::frontend::password_message) {
            const std::string reason = "expected a SASL response";
            co_return login_refusal{pgwire::build_fatal(sqlstate::protocol_violation, reason), reason};
        }
        auto next = login.receive(heard->body);
        if (auto* success = std::get_if<auth::login_success>(&next)) co_return std::move(*success);
        if (auto* failure = std::get_if<auth::login_failure>(&next))
            co_return login_refusal{std::move(failure->message), std::move(failure->reason), failure->counts};
        said = std::move(std::get<auth::login_reply>(next).message);
    }
}

}  // namespace

asio::awaitable<result<proof, login_refusal>> prove_by_scram(transport& client, message_reader& from,
                                                             gatekeeper& keeper, settings::snapshot in_force,
                                                             settings::side authority, std::string user) {
    const auto limit = in_force->config.proxy.auth.attempts;
    const auto found_at = address_of(client.descriptor());
    if (!found_at) co_return client_fault(message_reader::fault::gone);
    const auto& address = *found_at;
    if (const auto pause = keeper.attempts().pause(limit, address, user, std::chrono::steady_clock::now())) {
        keeper.count_held_back();
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(*pause).count();
        const auto text = "too many failed log-ins: try again in " + std::to_string(seconds) + " s";
        co_return login_refusal{pgwire::build_fatal(sqlstate::invalid_authorization, text), "too many failed log-ins"};
    }
    auto found = co_await keeper.find(user, in_force, authority);
    if (!found) {
        auto message = pgwire::build_fatal(sqlstate::cannot_connect_now, "log-ins can't be checked at the moment");
        co_return login_refusal{std::move(message), std::move(found.error().reason)};
    }
    std::optional<std::string> channel;
    if (client.tls() != nullptr) {
        if (auto hash = client.tls()->own_end_point_hash(); !hash.empty()) channel = std::move(hash);
    }
    auto shown =
        co_await converse(client, from, auth::client_login{keeper.subject_for(*found, user), user, std::move(channel)});
    if (!shown) {
        if (shown.error().wrong_password)
            keeper.attempts().failed(limit, address, user, std::chrono::steady_clock::now());
        co_return std::move(shown.error());
    }
    co_return proof{std::move(shown->message), std::move(*found), std::move(shown->keys)};
}

asio::awaitable<result<first_words, login_refusal>> hear_first_question(message_reader& from) {
    first_words heard;
    for (int count = 0; count < most_server_messages && heard.said.size() <= most_of_server; ++count) {
        auto next = co_await from.next(most_of_server);
        if (!next) co_return server_fault(std::string{to_string(next.error())});
        heard.said += pgwire::framed(next->type, next->body);
        switch (next->type) {
            case pgwire::backend::authentication:
                heard.let_in = pgwire::parse_authentication(next->body) == pgwire::authentication::ok;
                co_return heard;
            case pgwire::backend::error_response:
                co_return heard;
            case pgwire::backend::notice_response:
            case pgwire::backend::negotiate_protocol_version:
                break;
            default:
                co_return server_fault("unexpected message during the log-in");
        }
    }
    co_return server_fault("too many messages during the log-in");
}

asio::awaitable<result<let_in, login_refusal>> log_in_to_server(transport& server, message_reader& from,
                                                                auth::server_login login) {
    let_in admitted;
    for (int count = 0; count < most_server_messages; ++count) {
        auto heard = co_await from.next(most_of_server);
        if (!heard) co_return server_fault(std::string{to_string(heard.error())});
        switch (heard->type) {
            case pgwire::backend::authentication: {
                auto next = login.receive(heard->body);
                if (!next) co_return server_fault(next.error().what);
                if (next->done) co_return admitted;
                const auto failed = co_await server.write(next->message);
                if (failed) co_return server_fault("the connection was closed");
                break;
            }
            case pgwire::backend::error_response:
                co_return login_refusal{pgwire::framed(heard->type, heard->body), "the database refused it"};
            case pgwire::backend::notice_response:
                admitted.notices += pgwire::framed(heard->type, heard->body);
                if (admitted.notices.size() > most_of_server) co_return server_fault("too many notices");
                break;
            case pgwire::backend::negotiate_protocol_version:
                break;  // an older server; what 3.2 allows, 3.0 does too
            default:
                co_return server_fault("unexpected message during the log-in");
        }
    }
    co_return server_fault("too many messages during the log-in");
}

}  // namespace crossfade::proxy::frontend
