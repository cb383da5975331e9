#include "proxy/frontend/session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <limits>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "proxy/console/access.hpp"
#include "proxy/frontend/channel_binding.hpp"
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

// The longest message of a login that is looked into: a list of mechanisms, a client's first SASL message.
constexpr std::size_t most_of_login = 1024;

bool wants_replication(const pgwire::startup_message& opening) {
    const auto value = opening.parameter("replication");
    constexpr std::array off{"", "0", "f", "false", "n", "no", "off"};
    return std::ranges::none_of(off, [&](std::string_view each) { return value == each; });
}

}  // namespace

// Sees each message of the client on its way to the server.
struct session::client_inspector {
    session& of;
    bool misunderstood = false;  // the login can only fail, and by a message that says nothing

    std::size_t wanted(char type) const {
        return type == pgwire::frontend::password_message && !of.tracker_.started() && both_under_tls() ? most_of_login
                                                                                                        : 0;
    }
    bool both_under_tls() const { return of.client_.tls() != nullptr && of.server_.tls() != nullptr; }

    void message(char type, std::uint32_t, std::string_view body) {
        if (wanted(type) > 0 && !of.rewritten_.empty() && denies_binding(body)) misunderstood = true;
        // The server may be quicker to close than the client.
        if (type == pgwire::frontend::terminate && !of.end_) of.end_ = session_end::client_left;
        of.tracker_.on_frontend(type);
    }

    inspection operator()(std::string_view chunk) {
        if (of.is_held()) return {0, false, {}, true};
        const bool was_quiet = of.tracker_.quiet();
        if (of.tracker_.idle() && of.generation_ != of.around_.generation.load(std::memory_order_acquire))
            of.take_plan();
        const auto [consumed, fault] = of.from_client_.scan(chunk, *this);
        of.stats_.bytes_to_server.add(consumed);
        of.known_.bytes_from_client += consumed;
        if (was_quiet && !of.tracker_.quiet()) of.since_ = of.asked_ = std::chrono::steady_clock::now();
        if (misunderstood) {
            of.client_misunderstood_binding();
            return {0, true, {}};
        }
        if (fault != framing_fault::none) {
            of.client_violated(describe(fault));
        } else if (of.tracker_.overloaded()) {
            of.client_violated("too many messages without reading their answers");
        }
        return {consumed, of.farewell_ && of.farewell_->at != farewell::moment::idle, {}};
    }
};

// Sees each message of the server on its way to the client.
struct session::server_inspector {
    session& of;
    std::string_view offer{};  // of ways to authenticate, in the chunk at hand

    std::size_t wanted(char type) const {
        if (type == pgwire::backend::ready_for_query) return 1;
        if (type == pgwire::backend::authentication && !of.tracker_.started()) return most_of_login;
        // One byte more than there may be, so that a key that is too long isn't taken for its beginning.
        return type == pgwire::backend::backend_key_data ? pgwire::max_backend_key_data + 1 : 0;
    }

    void message(char type, std::uint32_t, std::string_view body) {
        if (type == pgwire::backend::backend_key_data && !of.tracker_.started()) {
            of.backend_ = pgwire::parse_backend_key_data(body);
            if (of.backend_) of.cancel_key_ = of.around_.cancels.add(*of.backend_, of.server_at_);
        }
        if (type == pgwire::backend::authentication && !of.tracker_.started() && !of.channel_binding_passes())
            offer = body;
        of.tracker_.on_backend(type, body);
    }

    inspection operator()(std::string_view chunk) {
        const bool was_started = of.tracker_.started();
        const bool was_quiet = of.tracker_.quiet();
        const auto transactions = of.tracker_.transactions();
        const auto [consumed, fault] = of.from_server_.scan(chunk, *this);
        of.stats_.bytes_to_client.add(consumed);
        of.known_.bytes_to_client += consumed;
        std::string_view instead;
        if (!offer.empty()) {
            of.rewritten_ = without_binding(chunk.substr(0, consumed), std::exchange(offer, {}));
            instead = of.rewritten_;
        }
        if (!was_started && of.tracker_.started()) {
            of.logged_in();
        } else if (!was_quiet && of.tracker_.quiet()) {
            const auto now = std::chrono::steady_clock::now();
            of.stats_.observe_query(of.plan_.strategy, now - of.since_);
            of.since_ = now;
            of.cancelled_ = false;
        }
        if (const auto more = of.tracker_.transactions() - transactions)
            of.stats_.by_strategy[static_cast<std::size_t>(of.plan_.strategy)].transactions.add(more);
        if (fault != framing_fault::none) of.server_violated(describe(fault));
        return {consumed, fault != framing_fault::none || of.farewell_is_due(), instead};
    }
};

session::session(stream_socket client, surroundings& around, loop_stats& stats, scratch_space& scratch)
    : around_(around),
      stats_(stats),
      scratch_(scratch),
      client_(std::move(client)),
      server_(stream_socket{client_.socket().get_executor()}),
      deadline_(client_.socket().get_executor()),
      released_(client_.socket().get_executor()),
      from_client_(max_body_before_login),
      from_server_(std::numeric_limits<std::int32_t>::max()) {}

asio::awaitable<std::optional<session_end>> session::run() {
    generation_ = around_.generation.load(std::memory_order_acquire);
    in_force_ = around_.current();
    certificates_ = std::atomic_load(&around_.certificates);
    prepare(client_.socket(), in_force_->config.proxy);
    deadline_.expires_after(in_force_->config.proxy.login_timeout);
    deadline_.async_wait([self = shared_from_this()](error_code cancelled) {
        if (!cancelled) self->on_login_timeout();
    });

    auto greeted = co_await read_greeting(client_, certificates_, in_force_->config.proxy.tls.mode);
    if (!greeted) {
        const auto& why = greeted.error();
        if (!why.message.empty()) spdlog::info("refused a connection: {}", why.message);
        if (why.tls_failed) {
            if (!end_) end_ = session_end::tls_failed;
        } else if (why.message.empty()) {
            if (!end_) end_ = session_end::protocol_violation;
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
    close();
    co_return end_;
}

asio::awaitable<void> session::cancel_for(pgwire::cancel_request request) {
    const auto result = co_await pass_on(std::move(request));
    stats_.cancels[static_cast<std::size_t>(result)].add(1);
}

asio::awaitable<cancel_result> session::pass_on(pgwire::cancel_request request) {
    const auto [found, server] = around_.cancels.find(request);
    if (found == cancel_registry::match::several) co_return cancel_result::ambiguous;
    // The key is the database's own, and it alone can say whom an unknown one belongs to: a session of another proxy
    // behind the same address, one that has just ended, or nobody.
    const bool ours = found == cancel_registry::match::one;
    const auto authority = strategy::decide(*in_force_, {}, {}).authority;
    const auto& config = in_force_->config;
    const bool modern = ours ? server == config.modern.server : authority == settings::side::modern;
    const auto& database = modern ? config.modern : config.legacy;

    auto dialled = co_await dial(ours ? server : database.server, in_force_);
    if (!dialled) co_return cancel_result::unreachable;
    server_ = transport{std::move(*dialled)};
    // Where the key is worth protecting on its way, it is protected here too.
    const auto unsafe =
        co_await secure_server(server_, database, modern ? certificates_->modern : certificates_->legacy);
    if (unsafe) co_return cancel_result::unreachable;
    const auto packet = pgwire::build(request);
    const auto failed = co_await server_.write(packet);
    if (failed) co_return cancel_result::unreachable;
    // The client takes our closing for "done", so the server's closing comes first.
    close_within(in_force_->config.proxy.connect_timeout);
    co_await server_.finish();
    co_return ours ? cancel_result::forwarded : cancel_result::handed_on;
}

asio::awaitable<void> session::cancel_query(std::shared_ptr<session> of, pgwire::cancel_request request) {
    // A connection of its own, with its own deadline and end: the session that waits must not be touched.
    const auto courier = std::make_shared<session>(stream_socket{of->client_.socket().get_executor()}, of->around_,
                                                   of->stats_, of->scratch_);
    courier->in_force_ = of->in_force_;
    courier->certificates_ = of->certificates_;
    co_await courier->cancel_for(std::move(request));
    courier->close();
}

asio::awaitable<void> session::serve(pgwire::startup_message opening, std::string early) {
    using namespace asio::experimental::awaitable_operators;
    introduce(opening);
    if (wants_console()) co_return co_await open_console(std::move(opening), std::move(early));
    if (wants_replication(opening) && !in_force_->config.proxy.replication_sessions) {
        co_await refuse(session_end::refused, sqlstate::feature_not_supported,
                        "replication sessions are not relayed: proxy.replication_sessions is false");
        co_return;
    }
    message_reader from_client{client_, std::move(early)};
    auto who = co_await admit(opening, from_client);
    if (!who || end_) co_return;
    auto admitted = around_.sessions.enter(in_force_->config.proxy, known_.user, known_.database);
    place_ = std::move(admitted.granted);
    if (!place_) {
        co_await refuse(session_end::too_many, sqlstate::too_many_connections,
                        "too many sessions: " + std::string{admitted.reached} + " is reached");
        co_return;
    }
    facts_.tenant = strategy::tenant_of(in_force_->config.tenants, opening.parameters);
    take_plan();
    const auto going = route_to(plan_.authority, in_force_->config, std::move(opening));
    const std::string database = std::string{settings::to_string(plan_.authority)} + " database";
    server_at_ = going.server;

    const bool modern = plan_.authority == settings::side::modern;
    const auto reason = co_await reach_server(modern ? in_force_->config.modern : in_force_->config.legacy);
    if (end_) co_return;
    if (!reason.empty()) {
        spdlog::warn("no connection to the {}: {}", database, reason);
        co_await refuse(session_end::unreachable, sqlstate::connection_failure,
                        "could not connect to the " + database + ": " + reason);
        co_return;
    }

    know_server(going);
    const bool ready = co_await log_in(going, std::move(*who));
    if (!ready) co_return;
    held_from_client_ = from_client.take_rest();
    co_await (client_to_server() && server_to_client());
}

// Why there is no connection; empty when there is one.
asio::awaitable<std::string> session::reach_server(const settings::database& to) {
    auto dialled = co_await dial(to.server, in_force_);
    if (!dialled) co_return dialled.error().message();
    server_ = transport{std::move(*dialled)};
    const bool modern = &to == &in_force_->config.modern;
    auto unsafe = co_await secure_server(server_, to, modern ? certificates_->modern : certificates_->legacy);
    co_return std::move(unsafe).value_or("");
}

asio::awaitable<void> session::refuse(session_end end, std::string_view code, std::string message) {
    end_ = end;
    co_await say_goodbye(pgwire::build_fatal(code, message));
}

asio::awaitable<void> session::client_to_server() {
    client_inspector inspect{*this};
    auto ended = relay_end::interrupted;
    while (ended == relay_end::interrupted && client_.is_open() && server_.is_open()) {
        ended = co_await relay(client_, server_, held_from_client_, scratch_, inspect);
        if (ended == relay_end::interrupted && is_held()) co_await wait_for_release();
    }
    switch (ended) {
        case relay_end::from_closed:
            // As with a database: what was asked is still answered, if somebody reads it.
            server_.shut_down();
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
        server_.close();
        std::string nothing;
        co_await say_goodbye(std::move(nothing));
    }
    close();
}

asio::awaitable<void> session::say_goodbye(std::string message) {
    if (!client_.is_open()) co_return;
    close_within(goodbye_time);
    // Of two reads that wait on a socket Asio tells one alone of its end: the relay's must not be there beside ours.
    error_code nothing_waits;
    client_.socket().cancel(nothing_waits);
    const auto failed = co_await client_.write(message);
    if (!failed) co_await client_.finish();
}

void session::take_plan() {
    generation_ = around_.generation.load(std::memory_order_acquire);
    in_force_ = around_.current();
    plan_ = strategy::decide(*in_force_, facts_, {});
    if (tracker_.started()) from_client_.set_max_body(max_body(in_force_->config));
}

void session::logged_in() {
    deadline_.cancel();
    rewritten_ = {};
    since_ = asked_ = std::chrono::steady_clock::now();
    from_client_.set_max_body(max_body(in_force_->config));
    if (farewell_) bid_farewell(std::move(*farewell_));
}

void session::client_violated(std::string_view what) {
    spdlog::warn("ended a session: the client violated the protocol: {}", what);
    // Before login there is no answer to wait for, and a database that waits for the client to authenticate.
    const auto at = tracker_.started() ? farewell::moment::answered : farewell::moment::boundary;
    bid_farewell({pgwire::build_fatal(sqlstate::protocol_violation, what), session_end::protocol_violation, at});
}

void session::server_violated(std::string_view what) {
    spdlog::error("ended a session: the {} database violated the protocol: {}", settings::to_string(plan_.authority),
                  what);
    bid_farewell(
        {pgwire::build_fatal(sqlstate::protocol_violation, "the database violated the protocol: " + std::string{what}),
         session_end::protocol_violation, farewell::moment::boundary});
}

void session::look_at_clock(std::chrono::steady_clock::time_point now, const settings::proxy& limits) {
    if (!tracker_.started() || farewell_ || !server_.is_open() || waits_for_release_) return;
    const auto waited = now - since_;
    const auto over = [&](std::chrono::milliseconds limit) { return limit.count() > 0 && waited >= limit; };
    if (!tracker_.quiet()) {
        if (!over(limits.query_timeout)) return;
        if (!cancelled_ && backend_) {
            // The database ends it with its own error, and the session goes on.
            cancelled_ = true;
            since_ = now;
            asio::co_spawn(client_.socket().get_executor(),
                           cancel_query(shared_from_this(), {backend_->pid, backend_->secret_key}),
                           [](const std::exception_ptr& thrown) {
                               if (thrown) spdlog::error("a cancel failed");
                           });
            return;
        }
        return bid_farewell({pgwire::build_fatal(sqlstate::query_canceled,
                                                 "terminating connection due to proxy.query_timeout: the statement "
                                                 "did not end when it was cancelled"),
                             session_end::query_timeout, farewell::moment::boundary});
    }
    if (tracker_.idle()) {
        if (over(limits.idle_timeout))
            bid_farewell({pgwire::build_fatal(sqlstate::idle_session_timeout,
                                              "terminating connection due to proxy.idle_timeout"),
                          session_end::idle_timeout, farewell::moment::idle});
    } else if (over(limits.idle_in_transaction_timeout)) {
        bid_farewell({pgwire::build_fatal(sqlstate::idle_in_transaction_timeout,
                                          "terminating connection due to proxy.idle_in_transaction_timeout"),
                      session_end::idle_timeout, farewell::moment::answered});
    }
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
    if (farewell_->at != farewell::moment::idle) {
        if (!end_) end_ = farewell_->end;
        close_within(in_force_->config.proxy.drain_timeout);
    }
    error_code nothing_waits;
    server_.socket().cancel(nothing_waits);
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
        client_.write_last_words(
            pgwire::build_fatal(sqlstate::admin_shutdown, "terminating connection due to administrator command"));
    }
    close();
}

void session::on_login_timeout() {
    if (tracker_.started()) return;
    if (!end_) end_ = session_end::login_timeout;
    if (from_server_.at_boundary() && client_.all_sent())
        client_.write_last_words(
            pgwire::build_fatal(sqlstate::query_canceled, "canceling authentication due to timeout"));
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
    released_.cancel();
    client_.close();
    server_.close();
}

}  // namespace crossfade::proxy::frontend
