#include "proxy/frontend/session.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "lib/pgwire/diagnostics.hpp"
#include "proxy/console/access.hpp"
#include "proxy/frontend/dial.hpp"
#include "proxy/frontend/event_loop.hpp"
#include "proxy/strategy/tenant.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace sqlstate = pgwire::sqlstate;
using namespace std::chrono_literals;

// PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH: the longest message before authentication.
constexpr std::uint32_t max_body_before_login = 65535;
// How long a client may take to read our last words.
constexpr auto goodbye_time = 2000ms;

}  // namespace

session::session(stream_socket client, surroundings& around, event_loop& home)
    : around_(around),
      home_(home),
      stats_(&home.counters()),
      client_(std::move(client)),
      server_(stream_socket{client_.socket().get_executor()}),
      from_client_(max_body_before_login),
      from_server_(std::numeric_limits<std::int32_t>::max()),
      memory_(around.memory) {}

asio::awaitable<void> session::run() {
    generation_ = around_.generation.load(std::memory_order_acquire);
    in_force_ = around_.current();
    certificates_ = std::atomic_load(&around_.certificates);
    prepare(client_.socket(), in_force_->config.proxy);
    after(in_force_->config.proxy.login_timeout, &session::on_login_timeout);

    auto greeted = co_await read_greeting(client_, certificates_, in_force_->config.proxy.tls.mode);
    if (!greeted) {
        const auto& why = greeted.error();
        if (!why.message.empty()) spdlog::info("refused a connection: {}", why.message);
        if (why.tls_failed) {
            ends_by(session_end::tls_failed);
        } else if (why.message.empty()) {
            ends_by(session_end::protocol_violation);
        } else {
            co_await refuse(
                why.sqlstate == sqlstate::protocol_violation ? session_end::protocol_violation : session_end::refused,
                why.sqlstate, why.message);
        }
    } else if (const auto* request = std::get_if<pgwire::cancel_request>(&greeted->opening)) {
        co_await cancel_for(*request);
    } else {
        co_await serve(std::move(std::get<pgwire::startup_message>(greeted->opening)), std::move(greeted->early));
    }
    if (!may_ride_) close();
}

asio::awaitable<void> session::take_leave() {
    may_ride_ = false;
    client_.return_to_asio();
    std::string message = std::move(goodbye_);
    co_await say_goodbye(std::move(message));
    close();
    awaited_at_home_.reset();
}

asio::awaitable<void> session::cancel_for(pgwire::cancel_request request) {
    const auto result = co_await pass_on(std::move(request));
    stats_->cancels[static_cast<std::size_t>(result)].add(1);
}

asio::awaitable<cancel_result> session::pass_on(pgwire::cancel_request request) {
    const auto [found, server, there] = around_.cancels.find(request);
    if (found == cancel_registry::match::several) co_return cancel_result::ambiguous;
    // The key is the database's own, and it alone can say whom an unknown one belongs to: a session of another proxy
    // behind the same address, one that has just ended, or nobody. Where both databases are in charge of something,
    // either may have made it.
    const bool ours = found == cancel_registry::match::one;
    if (ours && around_.any_holds.load(std::memory_order_acquire)) around_.cancel_held(request);
    // Where the key is worth protecting on its way, it is protected here too.
    const auto packet = pgwire::build(ours ? there : request);
    const auto first = ours ? server : in_force_->config.authority();
    const auto other = first == settings::side::modern ? settings::side::legacy : settings::side::modern;
    const bool both = !ours && in_force_->config.flags.assigned().has(other);
    // A session of another database of legacy's server has it too, perhaps, and nobody waits for that one.
    if (!ours && !both && other == settings::side::legacy) home_.send_cancel(in_force_, request, other);
    bool arrived = false;
    if (!both) {
        arrived = co_await carry_cancel(first, packet);
    } else {
        using namespace asio::experimental::awaitable_operators;
        const auto courier = std::make_shared<session>(stream_socket{client_.socket().get_executor()}, around_, home_);
        courier->in_force_ = in_force_;
        courier->certificates_ = certificates_;
        courier->close_within(2 * in_force_->config.proxy.connect_timeout);
        const auto [here, there_too] = co_await (carry_cancel(first, packet) && courier->carry_cancel(other, packet));
        courier->close();
        arrived = here && there_too;
    }
    if (!arrived) co_return cancel_result::unreachable;
    co_return ours ? cancel_result::forwarded : cancel_result::handed_on;
}

asio::awaitable<bool> session::carry_cancel(settings::side to, std::string packet) {
    const auto reason = co_await reach_server(to);
    if (!reason.empty()) co_return false;
    const auto failed = co_await server_.write(packet);
    if (failed) co_return false;
    // The client takes our closing for "done", so the server's closing comes first.
    close_within(in_force_->config.proxy.connect_timeout);
    co_await server_.finish();
    co_return true;
}

asio::awaitable<void> session::send_cancel(std::shared_ptr<session> courier, settings::snapshot in_force,
                                           pgwire::cancel_request request, std::optional<settings::side> to) {
    courier->in_force_ = std::move(in_force);
    courier->certificates_ = std::atomic_load(&courier->around_.certificates);
    // A connection that has been made, which takes up to the half of it, may stay silent; and nobody else would end it.
    courier->close_within(2 * courier->in_force_->config.proxy.connect_timeout);
    if (to) {
        const auto packet = pgwire::build(request);
        co_await courier->carry_cancel(*to, packet);
    } else {
        co_await courier->cancel_for(std::move(request));
    }
    courier->close();
}

asio::awaitable<void> session::serve(pgwire::startup_message opening, std::string early) {
    introduce(opening);
    if (console::is_console(in_force_->config.proxy.console, opening.database())) {
        co_await open_console(std::move(opening), std::move(early));
        co_return;
    }
    if (wants_replication(opening) && !in_force_->config.proxy.replication_sessions) {
        co_await refuse(session_end::refused, sqlstate::feature_not_supported,
                        "replication sessions are not relayed: proxy.replication_sessions is false");
        co_return;
    }
    facts_ = {.tenant = strategy::tenant_of(in_force_->config.tenants, opening.parameters),
              .moves = moves(in_force_->config, opening.database())};
    has_other_role_ = strategy::set_at_start("role", opening.parameters) ||
                      strategy::set_at_start("session_authorization", opening.parameters);
    message_reader from_client{client_, std::move(early)};
    auto who = co_await admit(opening, from_client);
    if (!who || end_) co_return;
    auto admitted = around_.sessions.enter(in_force_->config.proxy, opening.parameter("user"),
                                           same_database(in_force_->config, opening.database()),
                                           who->proven ? admission::standing::shown : admission::standing::claimed);
    place_ = std::move(admitted.granted);
    if (!place_) {
        co_await refuse(session_end::too_many, sqlstate::too_many_connections,
                        "too many sessions: " + std::string{admitted.reached} + " is reached");
        co_return;
    }
    memory_.set(counted_memory());
    if (around_.memory.held() > in_force_->config.proxy.max_memory) {
        co_await refuse(session_end::out_of_memory, sqlstate::out_of_memory,
                        "too much memory is in use by sessions: proxy.max_memory is reached");
        co_return;
    }
    take_plan();
    server_side_ = plan_.authority;
    if (strategy::may_change_hands(*in_force_, facts_)) papers_ = papers_of(opening, *who);
    const auto going = route_to(server_side_, in_force_->config, std::move(opening));
    const auto reason = co_await reach_server(going.authority);
    if (end_) co_return;
    if (!reason.empty()) {
        const auto database = std::string{settings::to_string(going.authority)} + " database";
        spdlog::warn("no connection to the {}: {}", database, reason);
        co_await refuse(session_end::unreachable, sqlstate::connection_failure,
                        "could not connect to the " + database + ": " + reason);
        co_return;
    }

    know_server();
    const bool ready = co_await log_in(going, std::move(*who));
    if (!ready) co_return;
    to_server_.begin_with(from_client.take_rest());
    certificates_.reset();
    may_ride_ = client_.is_open() && server_.is_open() && !end_;
}

asio::awaitable<std::string> session::reach_server(settings::side which) {
    const auto& to = in_force_->config.database_of(which);
    auto dialled = co_await dial(to.server, in_force_, around_.names);
    if (!dialled) co_return dialled.error().message();
    if (end_) co_return "the session ended meanwhile";
    server_ = transport{std::move(*dialled)};
    auto unsafe = co_await secure_server(server_, to, certificates_->of_server(which));
    co_return std::move(unsafe).value_or("");
}

asio::awaitable<void> session::refuse(session_end end, std::string_view code, std::string message) {
    end_ = end;
    co_await say_goodbye(pgwire::build_fatal(code, message));
}

asio::awaitable<void> session::say_goodbye(std::string message) {
    if (!client_.is_open()) co_return;
    close_within(goodbye_time);
    const auto failed = co_await client_.write(message);
    if (!failed) co_await client_.finish();
}

void session::drain() {
    if (farewell_) return;
    auto message = pgwire::build_fatal(sqlstate::admin_shutdown, "terminating connection due to administrator command");
    if (server_.is_open() && tracker_.started())
        return bid_farewell({std::move(message), session_end::drained, farewell::moment::idle});
    cut();
}

void session::cut() {
    ends_by(session_end::drained);
    if (client_.is_open() && may_tell_client()) {
        client_.write_last_words(
            pgwire::build_fatal(sqlstate::admin_shutdown, "terminating connection due to administrator command"));
    }
    close();
}

void session::on_login_timeout() {
    if (tracker_.started()) return;
    ends_by(session_end::login_timeout);
    if (from_server_.at_boundary() && client_.all_sent())
        client_.write_last_words(
            pgwire::build_fatal(sqlstate::query_canceled, "canceling authentication due to timeout"));
    close();
}

void session::after(std::chrono::milliseconds time, void (session::*what)()) {
    deadline_ = std::make_unique<asio::steady_timer>(client_.socket().get_executor(), time);
    deadline_->async_wait([self = shared_from_this(), what](error_code cancelled) {
        if (!cancelled && self->rides_on() == nullptr) ((*self).*what)();
    });
}

void session::close() {
    if (rides_on() == nullptr) deadline_.reset();
    client_.close();
    server_.close();
    drop_parked();
    if (changeover_) changeover_->close();
}

}  // namespace crossfade::proxy::frontend
