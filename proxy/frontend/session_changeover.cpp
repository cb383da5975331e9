// A session whose database isn't the authority any more goes over to the one that is, without its client's help.
#include <spdlog/spdlog.h>

#include <boost/asio/steady_timer.hpp>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/pgwire/session_status.hpp"
#include "lib/retry/backoff.hpp"
#include "proxy/frontend/dial.hpp"
#include "proxy/frontend/event_loop.hpp"
#include "proxy/frontend/session.hpp"
#include "proxy/frontend/unnamed_use.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace std::chrono_literals;

// Who waits for a read could have had it from legacy.
constexpr std::chrono::milliseconds longest_way_to_read{1000};

constexpr std::string_view hint = "Connect again: a new session gets the database that is in charge now.";

}  // namespace

void session::look_at_authority() {
    if (rides_on() == nullptr || over_ || !tracker_.started()) return;
    const auto now = around_.current();
    const auto stands_on = away_ ? guide::home : server_side_;
    if (strategy::authority_of(*now, facts_) != stands_on && !strategy::is_divided(*now, facts_)) is_to_go_over_ = true;
}

void session::leave_to_go_over() {
    const bool in_transaction = takes_transaction_along();
    const bool at_rest = in_transaction ? tracker_.quiet() : tracker_.idle() && !farewell_;
    if (!at_rest || !may_tell_client() || !from_client_.at_boundary() || refusing_) return;
    if (to_server_.ended() || to_client_.ended() || renews_unnamed_) return;
    auto& by = *rides_on();
    if (!in_transaction && generation_ != around_.generation.load(std::memory_order_acquire)) take_plan();
    if (!is_to_go_over_) {
        if (waits_for_release_ && !is_held()) go_on();
        return by.again(*this);
    }
    if (detour_ && detour_->reads && may_hop()) return hop(by);
    auto heard = ear_ ? ear_->remembered() : portrait::hearing::memory{};
    // A session that only reads where it is can't stay for that: who needs the statement is told that there is none.
    const bool gives_unnamed_up = away_ && heard.facts.statement == portrait::heard_facts::unnamed::unknown;
    changeover_ =
        std::make_unique<changeover>(std::move(heard), by.notes().names.shared(), std::chrono::steady_clock::now());
    if (gives_unnamed_up || (detour_ ? detour_->replaces_unnamed : replaces_unnamed(to_server_.held()))) {
        changeover_->forget_unnamed();
    } else if (escort_ && !escort_->unnamed().empty()) {
        changeover_->keep_unnamed(body_of(escort_->unnamed()));
    }
    leave_loop({});
}

asio::awaitable<void> session::go_over() {
    may_ride_ = false;
    client_.return_to_asio();
    server_.return_to_asio();
    if (parked_) parked_->connection.return_to_asio();
    // It is about to be said goodbye to where it came from.
    may_ride_ = farewell_ && client_.is_open() && !takes_transaction_along();
    if (may_ride_ || !client_.is_open()) co_return;
    if (detour_) co_return co_await make_detour();
    hindrance why;
    const bool here = co_await in_time(try_to_go_over(), why);
    if (!here) co_return;
    stats_->moves[static_cast<std::size_t>(why ? why->what : move_result::moved)].add(1);
    if (why) {
        stay_behind(*why);
    } else {
        arrive();
    }
}

asio::awaitable<bool> session::in_time(asio::awaitable<hindrance> journey, hindrance& why) {
    certificates_ = std::atomic_load(&around_.certificates);
    after(goes_to_read() ? longest_way_to_read : 2 * in_force_->config.proxy.connect_timeout,
          &session::give_up_going_over);
    why = co_await std::move(journey);
    certificates_.reset();
    deadline_.reset();
    if (!client_.is_open()) co_return false;  // somebody has ended it meanwhile
    // Who hung up may have asked the same again elsewhere, as behind a pause.
    if (client_waits() && has_hung_up(client_.descriptor())) {
        ends_by(session_end::client_left);
        close();
        co_return false;
    }
    co_return true;
}

asio::awaitable<hindrance> session::try_to_go_over() {
    auto& all = home_.changeovers();
    if (!papers_) co_return unable{move_result::obstacle, "no session could change hands when it began"};
    const auto opening = std::get<pgwire::startup_message>(pgwire::parse_startup(papers_->opening).value());
    if (wants_replication(opening)) co_return unable{move_result::obstacle, "it is a replication session"};
    const auto waited = std::chrono::steady_clock::now() - changeover_->began();
    if (all.nobody_there() && waited > in_force_->config.proxy.connect_timeout)
        co_return unable{move_result::unreachable, "the other database can't be reached"};

    const auto from = server_side_;
    const std::string database{database_at(from, in_force_->config, opening.database())};
    if (away_) changeover_->only_reads_on(from, parked_ ? &parked_->held : nullptr);
    if (parked_) changeover_->ask_also(parked_->held.own_settings);
    const bool to_read = goes_to_read();
    if (to_read) changeover_->only_reads_on(bound_for(), nullptr);
    const auto leave = [&] { return changeover_->leave(server_, from, database, all); };
    auto stays = co_await insist_on(leave);
    if (stays) co_return stays;
    if (to_read && changeover_->is_serializable())
        co_return unable{move_result::obstacle, "its transactions are SERIALIZABLE where they don't say otherwise"};
    if (to_read && !changeover_->may_be_parked())
        co_return unable{move_result::obstacle, "it listens, or holds more than is kept of it"};
    const bool back = co_await come_back();
    if (back) co_return std::nullopt;
    if (changeover_->late()) co_return unable{move_result::unreachable, "it took too long"};
    const auto going = route_to(bound_for(), in_force_->config, opening);
    const auto packet = pgwire::build(going.opening);
    const auto go = [&] { return enter(going.authority, packet); };
    auto not_in = co_await insist_on(go);
    all.found(!not_in || not_in->what != move_result::unreachable);
    if (not_in) co_return not_in;
    using purpose = changeover::purpose;
    const auto settle = [&] { return changeover_->settle(server_, detour_ ? purpose::for_a_while : purpose::to_stay); };
    auto different = co_await insist_on(settle);
    co_return different;
}

template <class Step>
asio::awaitable<hindrance> session::insist_on(Step step) {
    const auto until = std::chrono::steady_clock::now() + in_force_->config.proxy.connect_timeout;
    retry::backoff pause{10ms, 200ms};
    for (;;) {
        auto why = co_await step();
        if (changeover_->late()) co_return unable{move_result::unreachable, "it took too long"};
        if (goes_to_read() || !why || !why->for_now || !client_.is_open() || std::chrono::steady_clock::now() > until)
            co_return why;
        asio::steady_timer timer{client_.socket().get_executor(), pause.next()};
        co_await timer.async_wait(use_result);
    }
}

asio::awaitable<hindrance> session::enter(settings::side to, std::string opening) {
    const auto& database = in_force_->config.database_of(to);
    const auto away = [&](const std::string& why) {
        return unable{move_result::unreachable,
                      "no connection to the " + std::string{settings::to_string(to)} + " database: " + why, true};
    };
    auto dialled = co_await dial(database.server, in_force_, around_.names);
    if (!dialled) co_return away(dialled.error().message());
    // Who gives up closes what there is to be closed.
    if (changeover_->late() || !client_.is_open()) co_return away("it took too long");
    auto& next = changeover_->connected(transport{std::move(*dialled)});
    auto unsafe = co_await secure_server(next, database, certificates_->of_server(to));
    if (unsafe) co_return away(*unsafe);
    // Of its client we have nothing to show there, so nothing but our own proof could let it in. Behind the handshake:
    // before it nobody has asked for a certificate.
    if (const auto proof = own_proof_to(next); !papers_->secret && !proof.empty())
        co_return unable{move_result::login, "its log-in needs its client, and the " +
                                                 std::string{settings::to_string(to)} + " database might let it in " +
                                                 std::string{proof}};
    auto secret = papers_->secret ? *papers_->secret : auth::login_secret{};
    auto why = co_await changeover_->enter(to, std::move(opening), login_to(to, next, std::move(secret)));
    co_return why;
}

void session::give_up_going_over() {
    // Legacy is asked what the session holds, and will answer: nobody goes then, but it is waited for.
    if (goes_to_read() && !changeover_->is_there() && !changeover_->late()) {
        changeover_->give_up();
        return after(2 * in_force_->config.proxy.connect_timeout, &session::give_up_going_over);
    }
    // What goes over because of groups alone may stay where it is, unless it is waiting for that.
    if (!detour_ || !changeover_->is_there()) server_.close();
    changeover_->give_up();
}

void session::arrive() {
    auto& there = *changeover_;
    // Who only reads there for a while is told of nothing that is modern's.
    const bool reads = detour_ && detour_->reads;
    std::map<std::string, std::string> changed;
    if (!reads)
        changed = there.reported_anew();
    else if (takes_transaction_along())
        changed = there.reported_again();  // its client was told that they were undone
    for (auto& [name, value] : changed) {
        if (!owed_) owed_ = std::make_unique<std::map<std::string, std::string>>();
        (*owed_)[name] = std::move(value);
    }
    const auto news = client_waits() ? take_owed() : std::string{};
    to_client_.begin_anew(there.meanwhile() + news + (reads ? std::string{} : there.notifications()) +
                          there.take_rest());
    if (detour_) park_server();
    if (!parked_) static_cast<void>(server_.send(pgwire::build_terminate()));
    server_ = there.take_connection();
    server_side_ = bound_for();
    if (cancel_key_ && there.key()) cancel_key_.lead_to(*there.key(), server_side_);
    has_other_role_ = there.has_other_role(place_.user());
    escort_.reset();  // what it knows is of the other connection
    know_server();
    away_ = reads && server_side_ != guide::home;
    if (reads && guide_) guide_->became_alike();
    is_to_go_over_ = false;
    // What a pause holds it holds again.
    waits_for_release_ = false;
    to_server_.go_on();
    if (!detour_) stats_->observe_move(std::chrono::steady_clock::now() - there.began());
    detour_.reset();
    may_ride_ = true;
}

// PostgreSQL may report a setting at any time, and seldom does so unasked: pgjdbc takes it for an error where it waits
// for notifications. So a client that waits for nothing is told with its next answer.
std::string session::take_owed() {
    std::string told;
    if (const auto all = std::exchange(owed_, nullptr))
        for (const auto& [name, value] : *all) told += pgwire::build_parameter_status(name, value);
    return told;
}

void session::hear_owed() {
    if (!owed_ || !ear_) return;
    for (const auto& [name, value] : *owed_)
        ear_->server_said(pgwire::backend::parameter_status, body_of(pgwire::build_parameter_status(name, value)));
}

void session::stay_behind(const unable& why) {
    spdlog::warn("session {} could not go along to the {} database: {}", known_.id, settings::to_string(bound_for()),
                 why.reason);
    ends_by(session_end::left_behind);
    if (server_.is_open()) static_cast<void>(server_.send(pgwire::build_terminate()));
    server_.close();
    goodbye_ =
        changeover_->meanwhile() +
        pgwire::build_fatal(
            pgwire::sqlstate::admin_shutdown,
            "the application's database has changed hands and this session could not go along: " + why.reason, hint);
}

}  // namespace crossfade::proxy::frontend
