// A session whose reads go by strategy: to modern and home again (docs/adr/0029).
#include <spdlog/spdlog.h>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "proxy/frontend/event_loop.hpp"
#include "proxy/frontend/session.hpp"

namespace crossfade::proxy::frontend {
namespace {

// The same again, which the session can say at once, is answered by legacy: what retries does it by this code.
constexpr std::string_view to_be_tried_again = "40001";

std::string broken_off() {
    return pgwire::build_error_response({{{'S', "ERROR"},
                                          {'V', "ERROR"},
                                          {'C', std::string{to_be_tried_again}},
                                          {'M', "the modern database went away while it answered"},
                                          {'H', "Try again: legacy answers."}}}) +
           pgwire::framed(pgwire::backend::ready_for_query, "I");
}

}  // namespace

void session::look_at_reads(relay_loop& by) {
    const bool wanted = around_.view != nullptr && strategy::may_read_at_follower(*in_force_, facts_);
    // Who is on modern comes home by it.
    if (!wanted && !away_) return guide_.reset();
    using known = known_statements::acquaintance;
    if (!guide_)
        guide_ = std::make_unique<guide>(by.notes(), *around_.view,
                                         tracker_.started() ? known::late : known::from_the_start);
    if (changeover_) guide_->learn(changeover_->found().prepared);
    if (wanted && (!tracker_.started() || tracker_.idle())) guide_->take(in_force_, facts_);
}

bool session::is_away_too_long() const {
    return away_ && (plan_.authority != guide::home || !strategy::may_read_at_follower(*in_force_, facts_));
}

void session::count_read() {
    const auto read = guide_->take_read();
    if (!read) return;
    stats_->reads[read->at_follower ? 1 : 0].add(1);
    if (read->why) stats_->read_fallbacks[static_cast<std::size_t>(*read->why)].add(1);
}

bool session::may_hop() const {
    if (!guide_ || takes_transaction_along() || !guide_->alike() || !parked_ || parked_->side != detour_->to)
        return false;
    const bool unnamed = !ear_ || ear_->may_have_unnamed() || (escort_ && !escort_->unnamed().empty());
    if (unnamed && !detour_->replaces_unnamed) return false;
    // An end, or its last words, or a setting of its configuration that isn't what it was.
    return parked_->connection.is_open() && !has_something_to_read(parked_->connection.descriptor());
}

void session::hop(relay_loop& by) {
    if (server_.is_open()) by.forget(server_.descriptor(), server_watch_);
    server_.settle();
    const auto left = server_side_;
    auto key = cancel_key_ ? std::optional{cancel_key_.backend()} : std::nullopt;
    if (cancel_key_ && parked_->key) cancel_key_.lead_to(*parked_->key, parked_->side);
    server_side_ = std::exchange(parked_->side, left);
    parked_->key = std::move(key);
    transport there = std::move(parked_->connection);
    parked_->connection = std::move(server_);
    server_ = std::move(there);
    away_ = server_side_ != guide::home;
    const bool for_good = detour_ && detour_->for_good;
    detour_.reset();
    is_to_go_over_ = plan_.authority != guide::home;
    waits_for_release_ = false;
    to_client_.begin_anew({});
    to_server_.receiver_is_another();
    to_server_.go_on();
    stats_->hops.add(1);
    server_watch_ = {.of = this, .what = watched_socket::peer::server};
    if (!by.watch(server_.descriptor(), server_watch_)) return fail("epoll takes no more sockets");
    if (for_good) look_at_groups(by);
    by.again(*this);
}

std::optional<inspection> session::weigh(std::string_view answer) {
    // Last words, which are no answer: its end comes behind them.
    if (tracker_.idle() && from_server_.at_boundary() && answer.front() == pgwire::backend::error_response)
        return inspection{};
    switch (guide_->weigh(answer)) {
        case guide::reply::good:
            return std::nullopt;
        case guide::reply::more:
            return inspection{};
        case guide::reply::bad:
            asks_again_ = true;
            return inspection{.forward = answer.size(), .drop = true};
    }
    return std::nullopt;
}

void session::say_again(relay_loop& by) {
    if (!away_ || recover(by)) return;
    // Legacy can't be asked, and what modern said is gone.
    ends_by(session_end::server_left);
    server_.close();
    leave_loop(pgwire::build_fatal(pgwire::sqlstate::connection_failure, "the database closed the connection"));
}

bool session::recover(relay_loop& by) {
    if (!away_ || farewell_ || !client_.is_open() || to_client_.ended() == lane_end::to_failed) return false;
    const bool at_home = guide_->alike() && parked_ && parked_->connection.is_open() &&
                         !has_something_to_read(parked_->connection.descriptor());
    if (!at_home) return false;
    const bool left = to_client_.ended().has_value();
    std::string unit;
    if (!tracker_.idle()) {
        if (guide_->may_say_again())
            unit = guide_->unit();
        else if (!break_off())
            return false;
    }
    hop(by);
    if (over_) return true;
    if (left) {
        spdlog::debug("session {} goes on on legacy: modern has left", known_.id);
        drop_parked();
        guide_->must_stay(std::chrono::steady_clock::now());
    }
    if (unit.empty()) return true;
    guide_->said_again();
    stats_->reads_said_again.add(1);
    if (!server_.send(unit, &by.scratch().out)) server_.close();
    return true;
}

// It is on modern, and can't go back.
void session::lose_home(const unable& why) {
    spdlog::warn("session {} can't go back to the legacy database: {}", known_.id, why.reason);
    ends_by(session_end::server_left);
    server_.close();
    goodbye_ =
        changeover_->meanwhile() + pgwire::build_fatal(pgwire::sqlstate::connection_failure,
                                                       "could not go back to the legacy database: " + why.reason);
}

// In the middle of an answer whose beginning the client has.
bool session::break_off() {
    if (!guide_->stands_alone() || tracker_.idle() || !tracker_.ready_is_due() || !from_server_.at_boundary())
        return false;
    const auto told = broken_off();
    if (escort_) static_cast<void>(escort_->from_server(told));
    if (ear_) ear_->server_said(pgwire::backend::error_response, {});
    if (gate_) gate_->server_said(pgwire::backend::error_response);
    tracker_.on_backend(pgwire::backend::error_response, {});
    tracker_.on_backend(pgwire::backend::ready_for_query, "I");
    if (ear_) ear_->settled(tracker_.status());
    since_ = std::chrono::steady_clock::now();
    guide_->settled(tracker_.idle(), since_);
    return tracker_.idle() && client_.send(told);
}

}  // namespace crossfade::proxy::frontend
