// A session on its relay_loop: what passes through it, and what ends that.
#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>
#include <limits>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "proxy/frontend/channel_binding.hpp"
#include "proxy/frontend/event_loop.hpp"
#include "proxy/frontend/session.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace sqlstate = pgwire::sqlstate;
using pgwire::framing_fault;

constexpr auto never = std::chrono::steady_clock::time_point::max();

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

}  // namespace

// Sees each message of the client on its way to the server.
struct session::client_inspector {
    session& of;
    bool misunderstood = false;  // the login can only fail, and by a message that says nothing

    std::size_t wanted(char type) const {
        if (may_deny_binding(type)) return most_of_login;
        return std::max(of.ear_ ? of.ear_->wanted_of_client(type) : 0, of.gate_ ? of.gate_->wanted_of_client(type) : 0);
    }
    bool may_deny_binding(char type) const {
        return type == pgwire::frontend::password_message && !of.tracker_.started() && both_under_tls();
    }
    bool both_under_tls() const { return of.client_.tls() != nullptr && of.server_.tls() != nullptr; }

    sql::lexing lexing() const { return of.ear_ ? of.ear_->lexing() : sql::lexing{false, false}; }
    void heard(char type, std::uint32_t length, std::string_view body) {
        if (of.ear_) of.ear_->client_said(type, length, body, of.tracker_);
        if (of.gate_) of.gate_->client_said(type, length, body, *of.in_force_, of.facts_, lexing());
    }

    void message(char type, std::uint32_t length, std::string_view body) {
        heard(type, length, body);
        if (may_deny_binding(type) && !of.rewritten_.empty() && denies_binding(body)) misunderstood = true;
        // The server may be quicker to close than the client.
        if (type == pgwire::frontend::terminate) of.ends_by(session_end::client_left);
        of.tracker_.on_frontend(type);
    }

    inspection operator()(std::string_view chunk) {
        if (of.refusing_) return of.refuse_held(chunk);
        if (of.is_held()) return {.hold = true};
        const bool was_quiet = of.tracker_.quiet();
        if (of.tracker_.idle() && of.generation_ != of.around_.generation.load(std::memory_order_acquire))
            of.take_plan();
        if (of.is_to_go_over_ && of.tracker_.idle() && of.from_client_.at_boundary()) return {.hold = true};
        const auto whole = chunk.size();
        if ((of.usher_ || of.guide_) && of.tracker_.started()) {
            const usher::circumstances now{of.tracker_, lexing(), of.server_side_};
            const auto step = of.guide_ ? of.guide_->look(chunk, now) : of.usher_->look(chunk, now);
            if (step.what == usher::step::action::refuse) return of.refuse_by_groups(chunk, step);
            if (step.what != usher::step::action::pass) {
                of.set_out(step);
                return {.hold = true};
            }
            if (of.guide_) of.count_read();
            chunk = chunk.substr(0, step.bytes);
            if (chunk.empty()) return {};
        }
        if (of.ear_) of.ear_->client_sends(chunk);
        const auto [consumed, fault, instead, held] = of.escort_ ? escorted(chunk) : alone(chunk);
        if (of.ear_) of.ear_->client_sent(consumed);
        if (of.usher_) of.usher_->passed(consumed);
        if (of.guide_) of.guide_->passed(consumed);
        if (consumed > 0 && chunk.size() < whole) of.to_server_.go_on();
        if (held && consumed == 0) return {.hold = true};
        if (held) of.to_server_.go_on();
        of.stats_->bytes_to_server.add(consumed);
        of.known_.bytes_from_client += consumed;
        if (was_quiet && !of.tracker_.quiet()) of.since_ = of.asked_ = std::chrono::steady_clock::now();
        if (misunderstood) {
            of.client_misunderstood_binding();
            return {0, true, {}};
        }
        if (fault != framing_fault::none) {
            of.client_violated(describe(fault));
        } else {
            of.count_memory();
        }
        return {consumed, of.farewell_ && of.farewell_->at != farewell::moment::idle, instead,
                of.escort_ && instead.empty() && consumed > 0 && replaced_};
    }

    struct passage {
        std::size_t consumed = 0;
        framing_fault fault = framing_fault::none;
        std::string_view instead{};
        bool held = false;
    };

    passage alone(std::string_view chunk) {
        const auto [consumed, fault] = of.from_client_.scan(chunk, *this);
        return {consumed, fault};
    }

    // Message by message, as the escort will have it.
    passage escorted(std::string_view chunk) {
        passage made;
        auto& out = of.rides_on()->scratch().rewritten;
        out.clear();
        replaced_ = false;
        const auto left = [&] { return chunk.substr(made.consumed); };
        // Whether all of it went through.
        const auto take = [&](std::string_view bytes, auto& visitor) {
            const auto [consumed, fault] = of.from_client_.scan(bytes, visitor);
            made.consumed += consumed;
            made.fault = fault;
            return consumed == bytes.size() && fault == framing_fault::none;
        };
        while (!left().empty() && made.fault == framing_fault::none) {
            if (const auto rest = of.from_client_.body_left(); rest > 0) {
                const auto bytes = left().substr(0, rest);
                if (replaced_) out.append(bytes);
                take(bytes, *this);
                continue;
            }
            const auto step =
                of.escort_->on_client(left(), {*of.in_force_, of.facts_, of.tracker_, lexing(), of.follower_is_away()});
            using action = escort::client_step::action;
            if (step.what == action::more || step.what == action::hold) {
                made.held = step.what == action::hold;
                break;
            }
            const auto bytes = left().substr(0, step.bytes);
            const auto writes = of.gate_ ? of.gate_->writes() : 0;
            if (step.what == action::pass) {
                const auto before = made.consumed;
                const bool whole = take(bytes, *this);
                if (replaced_) out.append(bytes.substr(0, made.consumed - before));
                if (!whole) break;
            } else {
                if (!std::exchange(replaced_, true)) out.assign(chunk.substr(0, made.consumed));
                unseen silent;
                if (!take(bytes, silent)) break;
                if (!bytes.empty())
                    heard(bytes.front(), static_cast<std::uint32_t>(body_of(bytes).size()), body_of(bytes));
                for (const char type : step.types) of.tracker_.on_frontend(type);
                if (of.ear_) of.ear_->more_was_sent(parses_of_ours(bytes, step.types));
                out.append(step.instead);
            }
            if (of.gate_ && of.gate_->writes() != writes && !step.mirrored) of.escort_->other_write(step.why);
        }
        if (replaced_) made.instead = out;
        return made;
    }

    static unsigned parses_of_ours(std::string_view replaced, std::string_view by) {
        const auto all = static_cast<unsigned>(std::ranges::count(by, pgwire::frontend::parse));
        const bool one_is_the_clients = !replaced.empty() && replaced.front() == pgwire::frontend::parse;
        return all > 0 && one_is_the_clients ? all - 1 : all;
    }

    // For messages that others go on in the place of.
    struct unseen {
        std::size_t wanted(char) const { return 0; }
        void message(char, std::uint32_t, std::string_view) {}
    };
    bool replaced_ = false;
};

// Sees each message of the server on its way to the client.
struct session::server_inspector {
    session& of;
    std::string_view offer{};  // of ways to authenticate, in the chunk at hand

    std::size_t wanted(char type) const {
        if (type == pgwire::backend::ready_for_query) return 1;
        if (type == pgwire::backend::authentication && !of.tracker_.started()) return most_of_login;
        // One byte more than there may be, so that a key that is too long isn't taken for its beginning.
        if (type == pgwire::backend::backend_key_data) return pgwire::max_backend_key_data + 1;
        return of.ear_ ? of.ear_->wanted_of_server(type) : 0;
    }

    void message(char type, std::uint32_t, std::string_view body) {
        if (type == pgwire::backend::backend_key_data && !of.tracker_.started()) {
            if (const auto key = pgwire::parse_backend_key_data(body))
                of.cancel_key_ = of.around_.cancels.add(*key, of.server_side_);
        }
        if (type == pgwire::backend::authentication && !of.tracker_.started() && !of.channel_binding_passes())
            offer = body;
        if (of.ear_) of.ear_->server_said(type, body);
        if (of.gate_) of.gate_->server_said(type);
        if (of.usher_) of.usher_->server_said(type);
        if (of.guide_) of.guide_->server_said(type);
        of.tracker_.on_backend(type, body);
    }

    // The client's log-in fails after all, so it isn't told that it is over.
    inspection without_ready(std::string_view chunk, const pgwire::message_scanner& before) {
        struct {
            std::string_view chunk;
            std::size_t at = std::string_view::npos;
            std::size_t wanted(char type) const { return type == pgwire::backend::ready_for_query ? 1 : 0; }
            void message(char type, std::uint32_t, std::string_view body) {
                if (type == pgwire::backend::ready_for_query && at == std::string_view::npos)
                    at = static_cast<std::size_t>(body.data() - chunk.data()) - header_size;
            }
        } ready{.chunk = chunk};
        of.from_server_ = before;
        of.from_server_.scan(chunk, ready);
        of.from_server_ = before;
        of.from_server_.scan(chunk.substr(0, ready.at), ready);
        return {.forward = ready.at, .stop = true};
    }

    inspection operator()(std::string_view chunk) {
        if (of.renews_unnamed_)
            if (const auto step = of.swallow(chunk)) return *step;
        if (of.away_) {
            const auto step = of.weigh(chunk);
            if (step) return *step;
        } else if (of.gate_) {
            const auto waiting =
                of.gate_->look_for_answer(chunk, of.from_server_.body_left(), of.tracker_.ready_is_due());
            if (waiting.whole && waiting.at == 0) {
                of.gate_->asked(chunk.size());
                if (of.may_answer_late(chunk)) return {.hold = true};
            } else {
                chunk = chunk.substr(0, waiting.at);
                if (waiting.whole) of.to_client_.go_on();
            }
        }
        const bool was_started = of.tracker_.started();
        const bool was_quiet = of.tracker_.quiet();
        const auto transactions = of.tracker_.transactions();
        const auto before = of.from_server_;
        const auto [consumed, fault] = of.from_server_.scan(chunk, *this);
        of.stats_->bytes_to_client.add(consumed);
        of.known_.bytes_to_client += consumed;
        std::string_view instead;
        if (!offer.empty()) {
            of.rewritten_ = without_binding(chunk.substr(0, consumed), std::exchange(offer, {}));
            instead = of.rewritten_;
        }
        bool nothing = false;
        if (of.escort_) {
            if (const auto stripped = of.escort_->from_server(chunk.substr(0, consumed))) {
                instead = *stripped;
                nothing = instead.empty();
            }
            if (of.tracker_.quiet()) of.escort_->nothing_is_due(of.tracker_.idle());
        }
        if (of.ear_ && !was_quiet && of.tracker_.quiet()) of.ear_->settled(of.tracker_.status());
        if (!was_started && of.tracker_.started()) {
            if (!of.logged_in()) return without_ready(chunk, before);
        } else if (!was_quiet && of.tracker_.quiet()) {
            const auto now = std::chrono::steady_clock::now();
            of.stats_->observe_query(of.plan_.strategy, now - of.since_);
            of.since_ = now;
            of.cancelled_ = false;
        }
        if (of.guide_ && !was_quiet && of.tracker_.quiet()) of.guide_->settled(of.tracker_.idle(), of.since_);
        if (of.gate_) of.gate_->answered(consumed, of.tracker_.quiet(), of.tracker_.idle());
        if (const auto more = of.tracker_.transactions() - transactions)
            of.stats_->by_strategy[static_cast<std::size_t>(of.plan_.strategy)].transactions.add(more);
        if (fault != framing_fault::none) of.server_violated(describe(fault));
        of.count_memory();
        return {consumed, fault != framing_fault::none || of.farewell_is_due(), instead, nothing};
    }
};

void session::leave_home(relay_loop& to) {
    if (deadline_) closes_at_ = deadline_->expiry();
    deadline_.reset();
    client_.leave_asio();
    server_.leave_asio();
    if (parked_) parked_->connection.leave_asio();
    awaited_at_home_.emplace(client_.socket().get_executor());
    rides_on_.store(&to, std::memory_order_release);
}

void session::ride(relay_loop& on) {
    stats_ = &on.counters();
    over_ = false;
    client_watch_ = {.of = this, .what = watched_socket::peer::client};
    server_watch_ = {.of = this, .what = watched_socket::peer::server};
    listen(on);
    hear_owed();
    mirror(on);
    look_at_groups(on);
    changeover_.reset();
    // Who was away while the authority changed has come home to set out from there.
    if (!away_ && plan_.authority != server_side_ && !strategy::is_divided(*in_force_, facts_)) is_to_go_over_ = true;
    if (!on.watch(client_.descriptor(), client_watch_) || !on.watch(server_.descriptor(), server_watch_))
        return fail("epoll takes no more sockets");
    if (generation_ != around_.generation.load(std::memory_order_acquire)) look_at_authority();
    carry();
}

void session::fail(std::string_view why) {
    spdlog::error("a session failed: {}", why);
    end_ = session_end::failed;
    close();
    leave_loop({});
}

void session::on_ready(watched_socket::peer which, std::uint32_t events) {
    if (which == watched_socket::peer::follower) return hear_follower();
    auto& from_there = which == watched_socket::peer::server ? to_client_ : to_server_;
    if ((events & ~std::uint32_t{EPOLLOUT}) != 0)
        from_there.arrived((events & ~std::uint32_t{EPOLLIN | EPOLLOUT}) != 0);
    carry();
}

void session::carry() {
    if (over_) return;
    try {
        carry_both();
    } catch (const std::exception& fault) {
        fail(fault.what());
    }
}

void session::carry_both() {
    auto& by = *rides_on();
    by.scratch().out.on_behalf_of(*this);
    const auto up = carry_to_server(by);
    if (!client_.is_open()) return leave_loop({});
    const auto down = carry_to_client(by);
    if (over_) return;
    if (std::exchange(asks_again_, false)) say_again(by);
    if (over_) return;
    if (escort_) run_errands(by);
    if (over_) return;
    if (is_to_go_over_) leave_to_go_over();
    if (over_) return;
    by.want_room(client_.descriptor(), client_watch_, !client_.all_sent());
    by.want_room(server_.descriptor(), server_watch_, !server_.all_sent());
    if (up == progress::tired || down == progress::tired) by.again(*this);
}

progress session::carry_to_server(relay_loop& by) {
    if (!client_.is_open() || waits_for_release_ || waits_for_escort_ || waits_for_answers_ || to_server_.ended())
        return progress::waits;
    client_inspector inspect{*this};
    const auto how = to_server_.advance(inspect, by.scratch());
    if (how == progress::holds && escort_ && escort_->holds()) {
        waits_for_escort_ = true;
    } else if (how == progress::holds &&
               ((usher_ && usher_->takes_to_waiting()) || (guide_ && guide_->takes_to_waiting()))) {
        waits_for_answers_ = true;
    } else if (how == progress::holds) {
        waits_for_release_ = true;
        since_ = std::chrono::steady_clock::now();
    } else if (how == progress::ended) {
        on_lane_to_server_ended();
    }
    return how;
}

progress session::carry_to_client(relay_loop& by) {
    auto how = progress::waits;
    if (owed_ && !tracker_.quiet() && may_tell_client()) to_client_.begin_with(take_owed());
    if (!waits_for_follower_ && (!farewell_is_due() || !client_.all_sent())) {
        server_inspector inspect{*this};
        how = to_client_.advance(inspect, by.scratch());
    }
    if (refusing_ && waits_for_release_ && may_tell_client()) {
        go_on();
        by.again(*this);
    }
    if (waits_for_answers_ && tracker_.quiet()) {
        waits_for_answers_ = false;
        to_server_.go_on();
        by.again(*this);
    }
    if (farewell_is_due() && client_.all_sent()) {
        ends_by(farewell_->end);
        server_.close();
        leave_loop(std::move(farewell_->message));
    } else if (how == progress::ended && recover(by)) {
        how = progress::tired;
    } else if (how == progress::ended) {
        const bool client_is_there = *to_client_.ended() != lane_end::to_failed;
        if (*to_client_.ended() == lane_end::kept_too_much) lost_count("the database");
        ends_by(!client_is_there     ? session_end::client_left
                : tracker_.started() ? session_end::server_left
                                     : session_end::login_failed);
        server_.close();
        if (!client_is_there) client_.close();
        leave_loop({});
    }
    return how;
}

void session::leave_loop(std::string goodbye) {
    over_ = true;
    has_other_role_ = has_other_role_ || (ear_ && ear_->may_have_other_role()) || (escort_ && escort_->distrusts());
    ear_.reset();
    gate_.reset();
    leave_follower(false);
    // Who sets out may stay after all.
    if (!changeover_) escort_.reset();
    goodbye_ = std::move(goodbye);
    auto& from = *rides_on();
    for (auto [socket, watch] : {std::pair{&client_, &client_watch_}, std::pair{&server_, &server_watch_}}) {
        socket->settle();
        if (socket->is_open()) from.forget(socket->descriptor(), *watch);
    }
    client_watch_.of = server_watch_.of = nullptr;
    from.release(*this);
}

void session::go_home(std::shared_ptr<session> one) {
    auto& home = one->home_;
    one->stats_ = &home.counters();
    one->rides_on_.store(nullptr, std::memory_order_release);
    home.take_back(std::move(one));
}

void session::take_plan() {
    generation_ = around_.generation.load(std::memory_order_acquire);
    in_force_ = around_.current();
    plan_ = strategy::decide(*in_force_, facts_, {});
    if (tracker_.started()) {
        from_client_.set_max_body(max_body(in_force_->config));
        detour_.reset();
        is_to_go_over_ = !away_ && plan_.authority != server_side_ && !strategy::is_divided(*in_force_, facts_);
        if (is_away_too_long()) {
            set_out({.what = usher::step::action::go});
            detour_->for_good = true;
        }
    }
    if (auto* by = rides_on(); by != nullptr && !over_) {
        listen(*by);
        mirror(*by);
        look_at_groups(*by);
    }
}

void session::listen(relay_loop& by) {
    if (!strategy::may_change_hands(*in_force_, facts_)) {
        ear_.reset();
    } else if (!ear_ && changeover_) {
        ear_ = std::make_unique<ear>(by.notes(), by.counters(), changeover_->take_heard());
    } else if (!ear_) {
        using since = portrait::hearing::since;
        ear_ = std::make_unique<ear>(by.notes(), by.counters(), tracker_.started() ? since::later : since::log_in);
    }
}

bool session::logged_in() {
    const auto reached = around_.sessions.show(place_, in_force_->config.proxy);
    if (!reached.empty()) {
        bid_farewell({pgwire::build_fatal(sqlstate::too_many_connections,
                                          "too many sessions: " + std::string{reached} + " is reached"),
                      session_end::too_many, farewell::moment::boundary});
        return false;
    }
    closes_at_ = never;
    mirror(*rides_on());
    std::string{}.swap(rewritten_);
    since_ = asked_ = std::chrono::steady_clock::now();
    from_client_.set_max_body(max_body(in_force_->config));
    if (farewell_) bid_farewell(std::move(*farewell_));
    if (generation_ != around_.generation.load(std::memory_order_acquire)) look_at_authority();
    return true;
}

}  // namespace crossfade::proxy::frontend
