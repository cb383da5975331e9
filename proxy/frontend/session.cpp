#include "proxy/frontend/session.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <limits>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "proxy/frontend/dial.hpp"
#include "proxy/strategy/tenant.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace sqlstate = pgwire::sqlstate;
using namespace std::chrono_literals;
using pgwire::framing_fault;

// PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH: the longest message before authentication.
constexpr std::uint32_t max_body_before_login = 65535;
// How long a client may take to read our last words.
constexpr auto goodbye_time = 2000ms;

std::uint32_t max_body(const settings::configuration& config) {
    return static_cast<std::uint32_t>(
        std::min<std::size_t>(config.proxy.max_message_bytes, std::numeric_limits<std::int32_t>::max()));
}

std::string_view describe(framing_fault fault) {
    return fault == framing_fault::too_long ? "message is longer than proxy.max_message_bytes"
                                            : "invalid message length";
}

}  // namespace

// Sees each message of the client on its way to the server.
struct session::client_inspector {
    session& of;

    static std::size_t wanted(char) { return 0; }
    void message(char type, std::uint32_t, std::string_view) {
        // The server may be quicker to close than the client.
        if (type == pgwire::frontend::terminate && !of.end_) of.end_ = session_end::client_left;
        of.tracker_.on_frontend(type);
    }

    inspection operator()(std::string_view chunk) {
        const bool was_quiet = of.tracker_.quiet();
        if (of.tracker_.idle() && of.generation_ != of.around_.generation.load(std::memory_order_acquire))
            of.take_plan();
        const auto [consumed, fault] = of.from_client_.scan(chunk, *this);
        of.stats_.bytes_to_server.add(consumed);
        if (was_quiet && !of.tracker_.quiet()) of.asked_at_ = std::chrono::steady_clock::now();
        if (fault != framing_fault::none) {
            of.client_violated(describe(fault));
        } else if (of.tracker_.overloaded()) {
            of.client_violated("too many messages without reading their answers");
        }
        return {consumed, of.farewell_ && of.farewell_->at != farewell::moment::idle};
    }
};

// Sees each message of the server on its way to the client.
struct session::server_inspector {
    session& of;

    std::size_t wanted(char type) const {
        if (type == pgwire::backend::ready_for_query) return 1;
        return type == pgwire::backend::backend_key_data ? pgwire::max_backend_key_data : 0;
    }

    void message(char type, std::uint32_t, std::string_view body) {
        if (type == pgwire::backend::backend_key_data && !of.tracker_.started()) {
            if (const auto key = pgwire::parse_backend_key_data(body))
                of.cancel_key_ = of.around_.cancels.add(*key, of.server_at_);
        }
        of.tracker_.on_backend(type, body);
    }

    inspection operator()(std::string_view chunk) {
        const bool was_started = of.tracker_.started();
        const bool was_quiet = of.tracker_.quiet();
        const auto transactions = of.tracker_.transactions();
        const auto [consumed, fault] = of.from_server_.scan(chunk, *this);
        of.stats_.bytes_to_client.add(consumed);
        if (!was_started && of.tracker_.started()) {
            of.logged_in();
        } else if (!was_quiet && of.tracker_.quiet()) {
            of.stats_.observe_query(of.plan_.strategy, std::chrono::steady_clock::now() - of.asked_at_);
        }
        if (const auto more = of.tracker_.transactions() - transactions)
            of.stats_.by_strategy[static_cast<std::size_t>(of.plan_.strategy)].transactions.add(more);
        if (fault != framing_fault::none) of.server_violated(describe(fault));
        return {consumed, fault != framing_fault::none || of.farewell_is_due()};
    }
};

session::session(stream_socket client, surroundings& around, loop_stats& stats, scratch_space& scratch)
    : around_(around),
      stats_(stats),
      scratch_(scratch),
      client_(std::move(client)),
      server_(client_.get_executor()),
      deadline_(client_.get_executor()),
      from_client_(max_body_before_login),
      from_server_(std::numeric_limits<std::int32_t>::max()) {}

asio::awaitable<std::optional<session_end>> session::run() {
    prepare(client_);
    generation_ = around_.generation.load(std::memory_order_acquire);
    in_force_ = around_.current();
    deadline_.expires_after(in_force_->config.proxy.login_timeout);
    deadline_.async_wait([self = shared_from_this()](error_code cancelled) {
        if (!cancelled) self->on_login_timeout();
    });

    auto greeted = co_await read_greeting(client_);
    if (!greeted) {
        if (!end_) end_ = session_end::protocol_violation;
        if (const auto& message = greeted.error().message; !message.empty()) {
            spdlog::info("refused a connection: {}", message);
            co_await refuse(session_end::protocol_violation, sqlstate::protocol_violation, message);
        }
    } else if (const auto* request = std::get_if<pgwire::cancel_request>(&greeted->opening)) {
        co_await cancel_for(*request);
    } else {
        co_await serve(std::move(std::get<pgwire::startup_message>(greeted->opening)), std::move(greeted->early));
    }
    close();
    co_return end_;
}

asio::awaitable<void> session::cancel_for(pgwire::cancel_request request) {
    const auto result = co_await pass_on(std::move(request));
    stats_.cancels[static_cast<std::size_t>(result)].add(1);
}

asio::awaitable<cancel_result> session::pass_on(pgwire::cancel_request request) {
    const auto [found, server] = around_.cancels.find(request);
    if (found == cancel_registry::match::none) co_return cancel_result::unknown;
    if (found == cancel_registry::match::several) co_return cancel_result::ambiguous;

    auto dialled = co_await dial(server, in_force_->config.proxy.connect_timeout);
    if (!dialled) co_return cancel_result::unreachable;
    server_ = std::move(*dialled);
    const auto packet = pgwire::build(request);
    const auto failed = co_await write_all(server_, packet);
    if (failed) co_return cancel_result::unreachable;
    // The client takes our closing for "done", so the server's closing comes first.
    close_within(in_force_->config.proxy.connect_timeout);
    co_await finish_sending(server_);
    co_return cancel_result::forwarded;
}

asio::awaitable<void> session::serve(pgwire::startup_message opening, std::string early) {
    using namespace asio::experimental::awaitable_operators;
    place_ = around_.sessions.enter(in_force_->config.proxy.max_sessions);
    if (!place_) {
        co_await refuse(session_end::too_many, sqlstate::too_many_connections,
                        "too many sessions: proxy.max_sessions is reached");
        co_return;
    }
    facts_.tenant = strategy::tenant_of(in_force_->config.tenants, opening.parameters);
    take_plan();
    const auto going = route_to(plan_.authority, in_force_->config, std::move(opening));
    const std::string database = std::string{settings::to_string(plan_.authority)} + " database";
    server_at_ = going.server;

    auto dialled = co_await dial(going.server, in_force_->config.proxy.connect_timeout);
    if (end_) co_return;
    if (!dialled) {
        const auto reason = dialled.error().message();
        spdlog::warn("no connection to the {}: {}", database, reason);
        co_await refuse(session_end::unreachable, sqlstate::connection_failure,
                        "could not connect to the " + database + ": " + reason);
        co_return;
    }
    server_ = std::move(*dialled);

    auto first_bytes = pgwire::build(going.opening);
    const auto verdict = client_inspector{*this}(early);
    first_bytes.append(early, 0, verdict.forward);
    held_from_client_ = early.substr(verdict.forward);
    const auto failed = co_await write_all(server_, first_bytes);
    if (failed) {
        co_await refuse(session_end::unreachable, sqlstate::connection_failure,
                        "the " + database + " closed the connection");
        co_return;
    }
    co_await (client_to_server() && server_to_client());
}

asio::awaitable<void> session::refuse(session_end end, std::string_view code, std::string message) {
    end_ = end;
    co_await say_goodbye(pgwire::build_fatal(code, message));
}

asio::awaitable<void> session::client_to_server() {
    client_inspector inspect{*this};
    auto ended = relay_end::interrupted;
    while (ended == relay_end::interrupted && client_.is_open() && server_.is_open())
        ended = co_await relay(client_, server_, held_from_client_, scratch_, inspect);
    error_code gone;
    switch (ended) {
        case relay_end::from_closed:
            // As with a database: what was asked is still answered, if somebody reads it.
            server_.shutdown(stream_socket::shutdown_send, gone);
            if (!end_) end_ = session_end::client_left;
            break;
        case relay_end::from_failed:
            if (!end_) end_ = session_end::client_left;
            close();
            break;
        case relay_end::stopped:
        case relay_end::to_failed:  // the other direction reads the server's last words
        case relay_end::interrupted:
            break;
    }
}

asio::awaitable<void> session::server_to_client() {
    server_inspector inspect{*this};
    auto ended = relay_end::interrupted;
    while (ended == relay_end::interrupted && !farewell_is_due() && client_.is_open() && server_.is_open())
        ended = co_await relay(server_, client_, held_from_server_, scratch_, inspect);

    if (farewell_is_due()) {
        if (!end_) end_ = farewell_->end;
        server_.close();
        std::string message = std::move(farewell_->message);
        co_await say_goodbye(std::move(message));
    } else if (ended == relay_end::to_failed) {
        if (!end_) end_ = session_end::client_left;
    } else {
        if (!end_) end_ = tracker_.started() ? session_end::server_left : session_end::login_failed;
        std::string nothing;
        co_await say_goodbye(std::move(nothing));
    }
    close();
}

asio::awaitable<void> session::say_goodbye(std::string message) {
    if (!client_.is_open()) co_return;
    close_within(goodbye_time);
    const auto failed = co_await write_all(client_, message);
    if (!failed) co_await finish_sending(client_);
}

void session::take_plan() {
    generation_ = around_.generation.load(std::memory_order_acquire);
    in_force_ = around_.current();
    plan_ = strategy::decide(*in_force_, facts_, {});
    if (tracker_.started()) from_client_.set_max_body(max_body(in_force_->config));
}

void session::logged_in() {
    deadline_.cancel();
    asked_at_ = std::chrono::steady_clock::now();  // for what was sent ahead
    from_client_.set_max_body(max_body(in_force_->config));
    if (farewell_) bid_farewell(std::move(*farewell_));
}

void session::client_violated(std::string_view what) {
    spdlog::warn("ended a session: the client violated the protocol: {}", what);
    bid_farewell({pgwire::build_fatal(sqlstate::protocol_violation, what), session_end::protocol_violation,
                  farewell::moment::answered});
}

void session::server_violated(std::string_view what) {
    spdlog::error("ended a session: the {} database violated the protocol: {}", settings::to_string(plan_.authority),
                  what);
    bid_farewell(
        {pgwire::build_fatal(sqlstate::protocol_violation, "the database violated the protocol: " + std::string{what}),
         session_end::protocol_violation, farewell::moment::boundary});
}

bool session::farewell_is_due() const {
    if (!farewell_ || !from_server_.at_boundary()) return false;
    switch (farewell_->at) {
        case farewell::moment::idle:
            return tracker_.idle();
        case farewell::moment::answered:
            return !tracker_.ready_is_due();
        case farewell::moment::boundary:
            return true;
    }
    return true;
}

void session::bid_farewell(farewell goodbye) {
    farewell_ = std::move(goodbye);
    if (farewell_->at != farewell::moment::idle) close_within(in_force_->config.proxy.drain_timeout);
    error_code nothing_waits;
    server_.cancel(nothing_waits);
}

void session::drain() {
    if (farewell_) return;
    auto message = pgwire::build_fatal(sqlstate::admin_shutdown, "terminating connection due to administrator command");
    if (server_.is_open() && tracker_.started())
        return bid_farewell({std::move(message), session_end::drained, farewell::moment::idle});
    cut();
}

void session::cut() {
    if (!end_) end_ = session_end::drained;
    if (client_.is_open() && held_from_server_.empty() && from_server_.at_boundary()) {
        error_code unheard;
        client_.send(asio::buffer(pgwire::build_fatal(sqlstate::admin_shutdown,
                                                      "terminating connection due to administrator command")),
                     0, unheard);
    }
    close();
}

void session::on_login_timeout() {
    if (tracker_.started()) return;
    if (!end_) end_ = session_end::login_timeout;
    error_code unheard;
    if (from_server_.at_boundary())
        client_.send(asio::buffer(pgwire::build_fatal("57014", "canceling authentication due to timeout")), 0, unheard);
    close();
}

void session::close_within(std::chrono::milliseconds time) {
    deadline_.expires_after(time);
    deadline_.async_wait([self = shared_from_this()](error_code cancelled) {
        if (!cancelled) self->close();
    });
}

void session::close() {
    deadline_.cancel();
    error_code ignored;  // closing frees the descriptor whatever it says
    client_.close(ignored);
    server_.close(ignored);
}

}  // namespace crossfade::proxy::frontend
