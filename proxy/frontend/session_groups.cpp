// A session whose tables have several authorities goes to where its next statement's are (docs/adr/0028).
#include <spdlog/spdlog.h>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/settings/turned.hpp"
#include "proxy/frontend/event_loop.hpp"
#include "proxy/frontend/session.hpp"

namespace crossfade::proxy::frontend {

void session::look_at_groups(relay_loop& by) {
    look_at_reads(by);
    if (!strategy::is_divided(*in_force_, facts_)) {
        usher_.reset();
        if (!guide_) drop_parked();
        return;
    }
    using known = usher::acquaintance;
    if (!usher_) usher_ = std::make_unique<usher>(by.notes(), tracker_.started() ? known::late : known::from_the_start);
    if (changeover_) usher_->learn(changeover_->found().prepared);
    if (!tracker_.started() || tracker_.idle()) usher_->take({in_force_, facts_});
}

void session::set_out(const usher::step& how) {
    using action = usher::step::action;
    const auto what = how.what;
    if (what == action::wait) return;
    detour_ =
        std::make_unique<detour>(detour{what, what == action::learn ? server_side_ : settings::other(server_side_),
                                        how.replaces_unnamed, how.uses_unnamed});
    detour_->reads = guide_ && what != action::learn;
    is_to_go_over_ = true;
}

// The session is heard to have said what it was refused, as it may have meant to go on by it.
inspection session::refuse_by_groups(std::string_view chunk, const usher::step& how) {
    struct overheard {
        session& of;
        std::size_t wanted(char type) const { return of.ear_ ? of.ear_->wanted_of_client(type) : 0; }
        void message(char type, std::uint32_t length, std::string_view body) {
            if (of.ear_) of.ear_->client_said(type, length, body, of.tracker_);
        }
    };
    overheard visitor{*this};
    if (ear_) ear_->client_sends(chunk);
    const auto dropped = from_client_.scan(chunk.substr(0, how.bytes), visitor).consumed;
    if (ear_) ear_->client_sent(dropped);
    auto& instead = rides_on()->scratch().rewritten;
    instead = pgwire::build_query(how.text);
    if (escort_) escort_->other_query();
    tracker_.on_frontend(pgwire::frontend::query);
    if (guide_) guide_->refused();
    if (usher_) usher_->refused();
    (guide_ ? stats_->refused_read_only : stats_->refused_by_groups).add(1);
    known_.bytes_from_client += dropped;
    since_ = asked_ = std::chrono::steady_clock::now();
    if (dropped < chunk.size()) to_server_.go_on();
    return {.forward = dropped, .instead = instead};
}

asio::awaitable<void> session::make_detour() {
    hindrance why;
    const bool here = co_await in_time(try_detour(), why);
    if (!here) co_return;
    if (changeover_->has_lost_old() || !server_.is_open()) {
        ends_by(session_end::server_left);
        server_.close();
        goodbye_ = changeover_->meanwhile() +
                   pgwire::build_fatal(pgwire::sqlstate::connection_failure, "the database closed the connection");
        co_return;
    }
    if (why && away_ && detour_->reads && detour_->to == guide::home && !takes_transaction_along())
        co_return lose_home(*why);
    const bool only_asked = detour_->what == usher::step::action::learn;
    using enum detour_result;
    if (!only_asked)
        stats_->count_detour(why                  ? stayed
                             : detour_->came_back ? came_back
                                                  : logged_in,
                             std::chrono::steady_clock::now() - changeover_->began());
    if (why || only_asked) {
        remain(why.value_or(unable{}));
    } else {
        arrive();
    }
}

asio::awaitable<bool> session::come_back() {
    const auto there = take_parked();
    if (!there || !detour_ || there->side != detour_->to) co_return false;
    detour_->came_back = co_await changeover_->come_back(std::move(*there));
    co_return detour_->came_back;
}

// It is there still when the session comes back, with the state that it has now.
void session::park_server() {
    auto key = cancel_key_ ? std::optional{cancel_key_.backend()} : std::nullopt;
    auto kept = changeover_->park(server_, server_side_, std::move(key));
    if (!kept) return;
    parked_ = std::make_unique<parked_connection>(std::move(*kept));
    stats_->parked.add(1);
}

std::unique_ptr<parked_connection> session::take_parked() {
    if (parked_) stats_->parked.add(~std::uint64_t{0});
    return std::exchange(parked_, nullptr);
}

void session::drop_parked() {
    if (const auto one = take_parked(); one && one->connection.is_open())
        static_cast<void>(one->connection.send(pgwire::build_terminate()));
}

asio::awaitable<hindrance> session::try_detour() {
    if (detour_->what == usher::step::action::learn) {
        const std::string database{database_at(server_side_, in_force_->config, place_.database())};
        // What keeps it from going over keeps it from nothing here.
        auto ignored = co_await changeover_->leave(server_, server_side_, database, home_.changeovers());
        co_return std::nullopt;
    }
    const bool again = takes_transaction_along();
    if (again) {
        auto stays = co_await changeover_->undo(server_, begun());
        if (stays) co_return stays;
    }
    auto why = co_await try_to_go_over();
    if (!why && goes_to_read()) why = co_await changeover_->only_read();
    if (!again) co_return why;
    if (!why) why = co_await changeover_->begin_there(begun());
    if (!why) co_return std::nullopt;
    after(2 * in_force_->config.proxy.connect_timeout, &session::close);
    auto lost = co_await changeover_->begin_here(server_, begun());
    co_return lost ? lost : why;
}

// As if nothing had been.
void session::remain(const unable& why) {
    if (!why.reason.empty()) {
        spdlog::debug("session {} stays on the {} database: {}", known_.id, settings::to_string(server_side_),
                      why.reason);
        if (usher_) usher_->must_stay(why.reason, std::chrono::steady_clock::now());
        if (guide_) guide_->must_stay(std::chrono::steady_clock::now());
    }
    to_client_.begin_anew(changeover_->meanwhile() + changeover_->take_rest_of_old());
    detour_.reset();
    is_to_go_over_ = false;
    waits_for_release_ = false;
    to_server_.go_on();
    may_ride_ = true;
}

}  // namespace crossfade::proxy::frontend
