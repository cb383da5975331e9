// A session whose transactions are to be on the follower before its client is answered.
#include "lib/failpoint/failpoint.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "proxy/frontend/session.hpp"

namespace crossfade::proxy::frontend {
namespace {

constexpr auto never = std::chrono::steady_clock::time_point::max();

}  // namespace

void session::mirror(relay_loop& by) {
    gate_.reset();  // what it knows of prepared statements is by other flags
    // What is mirrored has legacy for its authority.
    const bool at_authority = away_ || server_side_ == settings::side::legacy;
    if (around_.follower != nullptr && at_authority && strategy::may_be_mirrored(*in_force_, facts_))
        gate_ = std::make_unique<mirror_gate>(by.notes(), around_.mirror_keeper);
    const bool eager = gate_ && around_.mirror_keeper != nullptr && in_force_->config.proxy.mirror_connections > 0;
    const bool may_fail = eager && strategy::may_have_to_fail(*in_force_, facts_);
    if (!escort_ && eager && tracker_.started()) {
        escort_ = std::make_unique<escort>(*around_.mirror_keeper, by.notes(), place_.user());
        // What it has said before is known to who has listened.
        if (has_other_role_ || !ear_ || ear_->may_have_other_role()) escort_->distrust();
    }
    if (escort_) escort_->mirror(eager, may_fail);
}

bool session::follower_is_away() const {
    return escort_->may_fail() && (around_.mirror_keeper->away() || around_.follower->now().degraded);
}

// What the escort has seen of the transaction; what it writes of scopes that aren't mirrored nobody waits for.
void session::rows_are_there() {
    if (guide_ && strategy::is_mirrored_whole(*in_force_, facts_)) guide_->follower_has_it();
}

// Whether the answer has to wait for the follower: `answer` ends a transaction that has written, perhaps.
bool session::may_answer_late(std::string_view answer) {
    if (escort_) escort_->ended();
    if (follower_ && escort_->commits(answer)) {
        commit_on_follower();
        return waits_for_follower_;
    }
    leave_follower(false);
    if (!escort_ || !escort_->wrote_nothing(answer)) return wait_for_follower();
    // There is nothing to be brought.
    follower_waited_ = {};
    rows_are_there();
    return false;
}

void session::run_errands(relay_loop& by) {
    auto errand = escort_->next();
    if (errand == escort::errand::take_back) {
        take_back_rows();
        errand = escort_->next();
    }
    switch (errand) {
        case escort::errand::none:
        case escort::errand::take_back:
            break;
        case escort::errand::flush:
            if (!server_.send(pgwire::build_flush(), &by.scratch().out)) server_.close();
            break;
        case escort::errand::send_ahead:
            by.behind(*this);  // the client has its answer first
            break;
        case escort::errand::write:
            write_to_follower(by);
            break;
        case escort::errand::proceed:
            go_on_to_commit(std::nullopt);
            break;
    }
    if (waits_for_escort_ && !escort_->holds()) {
        waits_for_escort_ = false;
        to_server_.go_on();
        by.again(*this);
    }
}

void session::go_on_behind() {
    if (!over_ && escort_ && escort_->may_send_ahead()) send_ahead(*rides_on());
}

bool session::take_follower(relay_loop& by, std::unique_ptr<mirror::follower_link> one) {
    if (!one) return false;
    follower_ = std::move(one);
    follower_watch_ = {.of = this, .what = watched_socket::peer::follower};
    if (by.watch(follower_->socket(), follower_watch_)) return true;
    fail("epoll takes no more sockets");
    return false;
}

// Nobody is waited for: who hasn't been answered by the transaction's end is waited for then.
void session::send_ahead(relay_loop& by) {
    const auto most = in_force_->config.proxy.mirror_ahead;
    const bool may = follower_ahead_ || (most.count() > 0 && take_follower(by, around_.mirror_keeper->take_spare()));
    if (over_) return;
    const bool well = may && follower_->send_ahead(escort_->rows()) == mirror::follower_link::state::busy;
    if (well && !std::exchange(follower_ahead_, true)) {
        follower_due_ = std::chrono::steady_clock::now() + most;
        by.look_at_clock_by(follower_due_);
    }
    if (well) by.want_room(follower_->socket(), follower_watch_, follower_->wants_room());
    if (may && !well) return take_back_rows();
    escort_->sent_ahead(well);
}

// What was sent ahead is undone, or sent once more when the transaction ends.
void session::take_back_rows() {
    leave_follower(false);
    escort_->sent_ahead(false);
}

void session::write_to_follower(relay_loop& by) {
    if (!follower_ahead_) {
        leave_follower(false);
        const bool there = take_follower(by, around_.mirror_keeper->take());
        if (over_) return;
        if (!there) return go_on_without_link(by);
    }
    if (std::exchange(wants_follower_, false)) {
        end_wait();
    } else {
        follower_waited_ = {};  // for a COMMIT before, which has failed
    }
    follower_ahead_ = false;
    begin_wait();
    follower_asked_ = true;
    on_follower(follower_->write(escort_->rows()));
}

// What one answer waits for modern is proxy.mirror_timeout together, however often it does.
void session::begin_wait() {
    follower_asked_at_ = std::chrono::steady_clock::now();
    follower_due_ = follower_asked_at_ + in_force_->config.proxy.mirror_timeout - follower_waited_;
}

void session::end_wait() {
    follower_waited_ += std::chrono::steady_clock::now() - follower_asked_at_;
    follower_due_ = never;
}

// All are in use, perhaps, or not yet there: who may be left to the stream is not kept, and who may not asks again.
void session::go_on_without_link(relay_loop& by) {
    const auto now = std::chrono::steady_clock::now();
    if (escort_->has_to_be_mirrored() && !follower_is_away()) {
        if (!std::exchange(wants_follower_, true)) {
            follower_waited_ = {};
            begin_wait();
            around_.mirror_keeper->count_waited();
        }
        if (now < follower_due_) return by.look_at_clock_by(now);
    }
    if (std::exchange(wants_follower_, false)) end_wait();
    go_on_to_commit(mirror::leave_reason::no_follower);
}

void session::hear_follower() {
    if (!follower_) return;
    const auto now = follower_->look();
    if (follower_asked_) return on_follower(now);
    if (now != mirror::follower_link::state::failed)
        return rides_on()->want_room(follower_->socket(), follower_watch_, follower_->wants_room());
    if (follower_ahead_) return take_back_rows();
    // While legacy commits: the stream brings the rows.
    leave_follower(false);
    escort_->committed(false);
}

void session::commit_on_follower() {
    failpoint::pass("mirror.answered");
    begin_wait();
    const auto now = follower_->commit();
    follower_asked_ = true;
    waits_for_follower_ = now == mirror::follower_link::state::busy;
    waits_for_follower_ ? on_follower(now) : end_on_follower(false);
}

void session::end_on_follower(bool well) {
    if (well) failpoint::pass("mirror.committed");
    if (well) follower_waited_ = {};
    leave_follower(well);
    escort_->committed(well);
    // The stream brings it.
    if (!well) wait_for_follower();
}

void session::on_follower(mirror::follower_link::state now) {
    using state = mirror::follower_link::state;
    if (now == state::busy) return rides_on()->want_room(follower_->socket(), follower_watch_, follower_->wants_room());
    const bool well = now == state::done;
    end_wait();
    follower_asked_ = false;
    if (std::exchange(waits_for_follower_, false)) {
        end_on_follower(well);
        if (waits_for_follower_) return;
        waits_for_follower_ = true;
        if (well) rows_are_there();
        return stop_waiting(false);
    }
    if (well) failpoint::pass("mirror.written");
    const auto why = follower_->lacks_ties() ? mirror::leave_reason::ties : mirror::leave_reason::refused;
    if (!well) leave_follower(false);
    go_on_to_commit(well ? std::nullopt : std::optional{why});
}

void session::give_up_follower() {
    around_.mirror_keeper->note_silence();
    on_follower(mirror::follower_link::state::failed);
}

void session::leave_follower(bool well) {
    if (!follower_) return;
    rides_on()->forget(follower_->socket(), follower_watch_);
    follower_due_ = never;
    follower_asked_ = false;
    if (std::exchange(follower_ahead_, false)) around_.mirror_keeper->count_taken_back();
    if (well) {
        around_.mirror_keeper->give_back(std::move(follower_));
    } else {
        around_.mirror_keeper->take_back(std::move(follower_));
    }
}

void session::go_on_to_commit(std::optional<mirror::leave_reason> why) {
    auto& by = *rides_on();
    if (const auto [bytes, types] = escort_->go_on(why, follower_is_away()); !bytes.empty()) {
        for (const char type : types) tracker_.on_frontend(type);
        by.scratch().out.on_behalf_of(*this);
        if (!server_.send(bytes, &by.scratch().out)) server_.close();
    }
    by.again(*this);
}

bool session::wait_for_follower() {
    auto& by = *rides_on();
    const auto tell = [&by, waiting = weak_from_this()](mirror::wait_end how) {
        by.post([waiting, how] {
            if (const auto one = waiting.lock()) one->stop_waiting(how == mirror::wait_end::applied);
        });
    };
    waits_for_follower_ = around_.follower->wait_for_follower(tell, std::exchange(follower_waited_, {}));
    return waits_for_follower_;
}

void session::stop_waiting(bool follower_has_it) {
    if (over_ || !std::exchange(waits_for_follower_, false)) return;
    if (follower_has_it && guide_) guide_->follower_has_it();
    to_client_.go_on();
    carry();
}

}  // namespace crossfade::proxy::frontend
