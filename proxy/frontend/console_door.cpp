#include "proxy/frontend/console_door.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/post.hpp>
#include <memory>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/session_status.hpp"
#include "lib/telemetry/version.hpp"
#include "proxy/console/console_session.hpp"
#include "proxy/frontend/counted.hpp"
#include "proxy/frontend/login.hpp"
#include "proxy/frontend/peer.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace sqlstate = pgwire::sqlstate;
using console::console_session;
using step = console::console_session::step;

// The answer comes in another thread; the console goes on in its own.
asio::awaitable<console::answer> have_carried_out(console::provider& desk, console::request what) {
    return asio::async_initiate<const asio::use_awaitable_t<>, void(console::answer)>(
        [&desk](auto handler, console::request asked) {
            const auto executor = asio::get_associated_executor(handler);
            auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
            desk.carry_out(std::move(asked), [executor, waiting](console::answer told) {
                asio::post(executor, [waiting, told = std::move(told)]() mutable { (*waiting)(std::move(told)); });
            });
        },
        asio::use_awaitable, std::move(what));
}

// Until one side closes.
asio::awaitable<void> converse(transport& client, console_session& session, console::provider& desk) {
    std::array<char, 4096> room{};
    while (client.is_open()) {
        switch (session.next()) {
            case step::write: {
                const auto failed = co_await client.write(session.output());
                if (failed) co_return;
                session.sent(session.output().size());
                break;
            }
            case step::ask: {
                auto told = co_await have_carried_out(desk, session.take_request());
                session.take_answer(std::move(told));
                break;
            }
            case step::read: {
                const auto [failed, size] = co_await client.read_some(room);
                if (failed) co_return;
                session.feed({room.data(), size});
                break;
            }
            case step::wait:  // have_carried_out() has waited already
            case step::close:
                co_return;
        }
    }
}

console_end turned_away(session_end end, std::string_view code, std::string_view message) {
    return {end, pgwire::build_fatal(code, message)};
}

}  // namespace

asio::awaitable<console_end> serve_console(transport& client, surroundings& around, settings::snapshot in_force,
                                           pgwire::startup_message opening, std::string early,
                                           std::function<void()> logged_in) {
    const auto& config = in_force->config;
    using enum console::admission::outcome;
    const std::string user{opening.parameter("user")};
    const auto facts = facts_of(client, opening, {});
    if (!facts) co_return console_end{session_end::client_left, {}};
    const auto decided = auth::decide(config.proxy.access, *facts);
    if (const auto* why = std::get_if<auth::access_refused>(&decided)) {
        spdlog::warn("console: {} is refused: {}", user, why->reason);
        co_return turned_away(session_end::refused, sqlstate::invalid_authorization, why->message);
    }
    const bool by_certificate = std::get<auth::access_allowed>(decided).method == auth::access_method::cert;
    const auto admitted = console::admit(config.proxy.console, user, peer_of(client.descriptor()).from);
    if (admitted.what == refused)
        co_return turned_away(session_end::login_failed, sqlstate::invalid_authorization,
                              "user \"" + user + "\" is in neither proxy.console.admins nor viewers");
    auto* const desk = around.desk.load(std::memory_order_acquire);
    const counted place{around.consoles};
    if (place.before() >= config.proxy.console.max_sessions || desk == nullptr)
        co_return turned_away(session_end::too_many, sqlstate::too_many_connections,
                              "too many console sessions: proxy.console.max_sessions is reached");

    console_session session{{.user = user,
                             .database = config.proxy.console.database,
                             .application_name = std::string{opening.parameter("application_name")},
                             .version = std::string{telemetry::version}},
                            admitted.as,
                            config.proxy.console.max_rows};
    const auto gone = co_await negotiate(client, opening);
    if (gone) co_return console_end{};
    std::string first;
    message_reader from{client, std::move(early)};
    if (admitted.what == password_needed && !by_certificate) {
        auto shown = co_await prove_by_scram(client, from, around.keeper, in_force, config.authority(), user);
        if (!shown) {
            spdlog::warn("console: {} is refused: {}", user, shown.error().reason);
            co_return console_end{session_end::login_failed, std::move(shown.error().message)};
        }
        first = std::move(shown->acceptance);
    } else {
        first = pgwire::build_authentication(pgwire::authentication::ok);
    }
    logged_in();
    spdlog::info("console: {} comes in", user);
    const auto failed = co_await client.write(first);
    if (failed) co_return console_end{};
    session.feed(from.take_rest());
    co_await converse(client, session, *desk);
    co_return console_end{};
}

}  // namespace crossfade::proxy::frontend
