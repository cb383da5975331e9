#include "cdc/apply/lanes.hpp"

#include <algorithm>
#include <utility>

#include "lib/store/schema.hpp"

namespace crossfade::cdc::apply {

struct lanes::job {
    lane_outcome outcome;
    crossfade::settings::snapshot in_force;
    std::optional<touched_rows> rows;  // when it has said
    bool done = false;
};

struct lanes::lane {
    lane(std::unique_ptr<session> over, const settings& of)
        : to(std::move(over)), catalog(of.tenant_column), writer(*to, catalog, of.place, {}, recent) {}

    std::unique_ptr<session> to;
    target_catalog catalog;
    recent_transactions recent;  // tables that are being copied are no lane's
    applier writer;
    std::optional<scope_filter> scopes;
    std::shared_ptr<job> next;
    bool look_again = true;
    std::thread thread;
};

pgclient::result<std::unique_ptr<lanes>> lanes::open(const settings& of, session& main,
                                                     const std::function<bool()>& interrupted) {
    std::unique_ptr<lanes> made{new lanes};
    for (int i = 0; i < of.count; ++i) {
        auto opened = session::open(of.dsn, of.place.stream, interrupted, of.silence);
        if (!opened) return opened.error();
        auto& own = **opened;
        const bool both_ways = !of.place.authority_of.empty();
        if (main.origins || both_ways) {
            if (auto marked = own.mark_origin(of.place.stream, of.since, store::first_lane + i, of.place.authority_of);
                !marked)
                return marked.error();
        }
        if ((both_ways && !own.unmarked.empty()) || !own.replica_role ||
            own.origins.has_value() != main.origins.has_value()) {
            return pgclient::failure{"42501", "not what the connection that applies alone may do", {}, {}, {}};
        }
        made->lanes_.push_back(std::make_unique<lane>(std::move(*opened), of));
    }
    // Before any of them writes: rows of an origin that somebody doesn't know count as written by others.
    if (auto told = main.refresh_origins(of.place.stream); !told) return told.error();
    for (auto& each : made->lanes_) {
        each->thread = std::thread{[set = made.get(), own = each.get()] { set->run(*own); }};
    }
    return made;
}

lanes::~lanes() {
    {
        const std::lock_guard hold{mutex_};
        stopping_ = true;
    }
    changed_.notify_all();
    for (auto& each : lanes_) {
        if (each->thread.joinable()) each->thread.join();
    }
}

void lanes::submit(lane_batch next, crossfade::settings::snapshot in_force) {
    auto made = std::make_shared<job>();
    tail_ = next.to;
    made->outcome.batch = std::move(next);
    made->in_force = std::move(in_force);
    std::unique_lock hold{mutex_};
    lane* free = nullptr;
    changed_.wait(hold, [&] {
        const auto idle = std::ranges::find_if(lanes_, [](const auto& each) { return each->next == nullptr; });
        free = idle == lanes_.end() ? nullptr : idle->get();
        return free != nullptr;
    });
    jobs_.push_back(made);
    free->next = std::move(made);
    hold.unlock();
    changed_.notify_all();
}

std::vector<lane_outcome> lanes::applied() {
    std::vector<lane_outcome> told;
    const std::lock_guard hold{mutex_};
    while (!jobs_.empty() && jobs_.front()->done && jobs_.front()->outcome.what == lane_outcome::kind::applied) {
        told.push_back(std::move(jobs_.front()->outcome));
        jobs_.pop_front();
    }
    return told;
}

std::vector<lane_outcome> lanes::settle() {
    std::vector<lane_outcome> told;
    std::unique_lock hold{mutex_};
    changed_.wait(hold, [this] { return std::ranges::all_of(jobs_, [](const auto& each) { return each->done; }); });
    for (auto& each : jobs_) told.push_back(std::move(each->outcome));
    jobs_.clear();
    return told;
}

bool lanes::empty() const {
    const std::lock_guard hold{mutex_};
    return jobs_.empty();
}

bool lanes::troubled() const {
    const std::lock_guard hold{mutex_};
    return std::ranges::any_of(
        jobs_, [](const auto& each) { return each->done && each->outcome.what != lane_outcome::kind::applied; });
}

void lanes::look_again() {
    const std::lock_guard hold{mutex_};
    for (auto& each : lanes_) each->look_again = true;
}

void lanes::run(lane& own) {
    for (;;) {
        std::shared_ptr<job> next;
        {
            std::unique_lock hold{mutex_};
            changed_.wait(hold, [&] { return stopping_ || own.next != nullptr; });
            if (own.next == nullptr) return;
            next = own.next;
            if (std::exchange(own.look_again, false)) {
                own.writer.look_again();
                own.catalog.forget();
            }
        }
        const auto began = std::chrono::steady_clock::now();
        work(own, *next);
        {
            const std::lock_guard hold{mutex_};
            next->outcome.took = std::chrono::steady_clock::now() - began;
            next->done = true;
            own.next = nullptr;
        }
        changed_.notify_all();
    }
}

void lanes::work(lane& own, job& on) {
    auto& outcome = on.outcome;
    const auto fail = [&](const pgclient::failure& why) {
        outcome.what = why.connection_lost() ? lane_outcome::kind::failed : lane_outcome::kind::refused;
        outcome.why = why;
        own.writer.look_again();
    };
    if (!own.scopes || own.scopes->in_force() != on.in_force) own.scopes.emplace(on.in_force);
    const auto prepared = own.writer.prepare(outcome.batch.events, *own.scopes,
                                             [&](touched_rows rows) { return admit(on, std::move(rows)); });
    if (!prepared) return fail(prepared.error());
    if (!*prepared) return;
    if (!await_turn(on)) {
        if (auto undone = own.writer.roll_back(); !undone) fail(undone.error());
        return;
    }
    auto done = own.writer.finish(outcome.batch.from, outcome.batch.to);
    if (!done) {
        // A COMMIT that was refused is one that did not happen; one that was not answered may have.
        return fail(done.error());
    }
    outcome.report = std::move(*done);
    outcome.what = outcome.report.what == apply_report::outcome::applied ? lane_outcome::kind::applied
                                                                         : lane_outcome::kind::fenced;
}

bool lanes::abandoned(const job& of) const {
    if (stopping_) return true;
    for (const auto& each : jobs_) {
        if (each.get() == &of) return false;
        if (each->done && each->outcome.what != lane_outcome::kind::applied) return true;
    }
    return false;
}

bool lanes::admit(job& of, touched_rows rows) {
    std::unique_lock hold{mutex_};
    of.rows = std::move(rows);
    changed_.notify_all();
    bool given_up = false;
    changed_.wait(hold, [&] {
        given_up = abandoned(of);
        if (given_up) return true;
        for (const auto& each : jobs_) {
            if (each.get() == &of) break;
            if (!each->done && (!each->rows || !disjoint(*each->rows, *of.rows))) return false;
        }
        return true;
    });
    return !given_up;
}

bool lanes::await_turn(job& of) {
    std::unique_lock hold{mutex_};
    bool given_up = false;
    changed_.wait(hold, [&] {
        given_up = abandoned(of);
        return given_up || std::ranges::all_of(jobs_.begin(), std::ranges::find(jobs_, &of, &std::shared_ptr<job>::get),
                                               [](const auto& each) { return each->done; });
    });
    return !given_up;
}

}  // namespace crossfade::cdc::apply
