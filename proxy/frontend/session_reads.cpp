// A session whose reads go by strategy: to modern and home again (docs/adr/0029).
#include <spdlog/spdlog.h>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "proxy/frontend/event_loop.hpp"
#include "proxy/frontend/session.hpp"
#include "proxy/frontend/unnamed_use.hpp"
#include "proxy/frontend/whole_message.hpp"
#include "proxy/portrait/recreate.hpp"

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
    if (!wanted && !away_) {
        // The connection that waits only reads, and would be taken for one that may write.
        if (std::exchange(guide_, nullptr)) drop_parked();
        return;
    }
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
    if ((unnamed && !detour_->replaces_unnamed) || detour_->uses_unnamed) return false;
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
    parked_->distrust_unnamed();
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

// Legacy can be asked in modern's place: what it is sent in front of the unit, so that the statement without a name is
// what the client means by it. Nothing: it can't be.
std::optional<std::string> session::way_home(std::string_view unit) const {
    const bool at_home = guide_->alike() && parked_ && parked_->connection.is_open() &&
                         !has_something_to_read(parked_->connection.descriptor());
    if (!at_home) return std::nullopt;
    if (!unit.empty() && replaces_unnamed(unit)) return std::string{};
    auto heard = ear_ ? ear_->remembered().facts : portrait::heard_facts{};
    if (escort_ && !escort_->unnamed().empty()) {
        heard.statement = portrait::heard_facts::unnamed::kept;
        heard.parse = body_of(escort_->unnamed());
    }
    const bool is_kept = heard.statement == portrait::heard_facts::unnamed::kept;
    const bool is_unknown = heard.statement == portrait::heard_facts::unnamed::unknown;
    if (is_unknown && uses_unnamed(unit)) return std::nullopt;
    portrait::session_portrait wanted;
    wanted.unnamed_there = is_kept;
    wanted.heard = std::move(heard);
    return portrait::recreate_unnamed(wanted);
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
            // What modern has said is better than nothing.
            if (!way_home(guide_->unit())) return std::nullopt;
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
    const bool left = to_client_.ended().has_value();
    const bool again = !tracker_.idle() && guide_->may_say_again();
    const auto unit = again ? guide_->unit() : std::string{};
    if (!way_home(unit) || (!again && !tracker_.idle() && !break_off())) return false;
    const auto first = way_home(unit).value_or("");
    hop(by);
    if (over_) return true;
    if (left) {
        spdlog::debug("session {} goes on on legacy: modern has left", known_.id);
        drop_parked();
        guide_->must_stay(std::chrono::steady_clock::now());
    }
    renews_unnamed_ = !first.empty();
    if (again) {
        guide_->said_again();
        stats_->reads_said_again.add(1);
    }
    if (!server_.send(first + unit, &by.scratch().out)) server_.close();
    return true;
}

// Of legacy's answers those to way_home(), which the client hasn't asked for.
std::optional<inspection> session::swallow(std::string_view chunk) {
    inspection swallowed{.drop = true};
    while (renews_unnamed_) {
        const auto left = chunk.substr(swallowed.forward);
        if (left.size() < header_size || left.size() < size_of(left)) return swallowed;
        const auto message = left.substr(0, size_of(left));
        if (message.size() < header_size) return std::nullopt;
        switch (message.front()) {
            case pgwire::backend::ready_for_query:
                renews_unnamed_ = false;
                break;
            case pgwire::backend::parse_complete:
            case pgwire::backend::close_complete:
            case pgwire::backend::error_response:  // there is none then, and who needs it is told so
                break;
            default:  // said unasked
                if (ear_) ear_->server_said(message.front(), body_of(message));
                // A client that can't be told is found out where it is read.
                static_cast<void>(client_.send(message));
        }
        swallowed.forward += message.size();
    }
    if (swallowed.forward < chunk.size()) to_client_.go_on();
    return swallowed;
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
