// Who takes the steps of a flip: one at a time, by a lock on both sides that lives as long as its sessions.
#include "lib/handover/coordinator_state.hpp"
#include "lib/handover/pause.hpp"

namespace crossfade::handover {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using settings::side;
using store::handover_state;

// Whoever is at work on a flip that is overdue asks the side that gives something away more often than that.
constexpr auto silent = "1 second";
// Between decision and end; a proxy lets its sessions go to the new side, open or not, when it has waited for 10 s.
constexpr auto opening_patience = 5s;
// A session that is ended clears up before it lets go of its locks.
constexpr auto letting_go = 2s;
constexpr auto between_tries = 50ms;

bool overdue(const store::authority_row& row) {
    switch (row.state) {
        case handover_state::holding:
        case handover_state::fenced:
            return row.holds_for && *row.holds_for < undone_before;
        case handover_state::handed:
            return row.unchanged_for > opening_patience;
        case handover_state::settled:
            break;
    }
    return false;
}

// $1 and $2 the lock's keys, $3 from when on a session counts as silent: those that have it, and whether they are. Of
// those of another role one isn't told, unless one may read all statistics.
constexpr const char* holders_sql =
    "WITH holders AS (SELECT l.pid, coalesce(a.state <> 'active' AND a.state_change < clock_timestamp() - $3::interval,"
    " false) AS silent FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND"
    " l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND"
    " l.classid::bigint = $1::int::bigint AND l.objid::bigint = ($2::int::bigint & 4294967295) AND l.objsubid = 2"
    " AND l.pid <> pg_backend_pid()) ";

std::vector<pgclient::parameter> holders_of(const std::string& stream) {
    auto parameters = store::handover_lock_key(stream);
    parameters.emplace_back(silent);
    return parameters;
}

}  // namespace

bool coordinator::take_locks() {
    away_.reset();
    // Before there is a lock: who has one and waits for a side that hangs is taken for silent.
    for (const auto which : {side::legacy, side::modern}) {
        try {
            at(which);
        } catch (const trouble& why) {
            away_ = why;
        }
    }
    bool any = false;
    for (auto* each : {legacy_.get(), modern_.get()}) {
        if (each == nullptr) continue;
        try {
            each->claimed =
                each->claimed || ask(*each, "taking the flip's lock", "SELECT pg_try_advisory_lock($1::int, $2::int)",
                                     store::handover_lock_key(config_.stream.name))
                                     .boolean(0, 0);
            if (!each->claimed) return false;
            any = true;
        } catch (const trouble& why) {
            away_ = why;
        }
    }
    if (!any) throw *away_;
    return true;
}

bool coordinator::claim() {
    if (take_locks()) return true;
    const auto until = clock::now() + letting_go;
    while (end_the_silent()) {
        pause({}, between_tries);
        if (take_locks()) return true;
        if (clock::now() >= until) break;
    }
    return false;
}

void coordinator::end_holders(place& on, which_holders which) {
    const auto ended = ask(on, "ending the sessions of who makes a flip and says nothing",
                           std::string{holders_sql} + "SELECT pid, pg_terminate_backend(pid) FROM holders" +
                               (which == which_holders::silent ? " WHERE silent" : ""),
                           holders_of(config_.stream.name));
    for (int i = 0; i < ended.size(); ++i)
        say_("whoever makes a flip says nothing, as he was stopped or cut off: process " +
             std::string{ended.text(i, 0)} + " on " + name(on.which) + ", which has its lock, is ended");
}

// A session that nobody speaks through keeps everybody else out by its lock for as long as its server lives. Ended it
// decides nothing any more, and who gets the lock sees what it has decided. False: whoever has the lock is at work.
bool coordinator::end_the_silent() {
    for (auto* behind : {legacy_.get(), modern_.get()}) {
        if (behind == nullptr) continue;
        const auto found = row(*behind);
        if (!found || !overdue(*found)) continue;
        const auto at_work =
            ask(*behind, "looking for who makes a flip",
                std::string{holders_sql} + "SELECT FROM holders WHERE NOT silent", holders_of(config_.stream.name));
        if (!at_work.empty()) return false;
        if (!behind->claimed) end_holders(*behind, which_holders::silent);
        // What he waits for there, for a standby's answer say, is of no use to anybody unless it is the opening.
        const bool is_decided = found->state == handover_state::handed;
        auto* const other = behind == legacy_.get() ? modern_.get() : legacy_.get();
        if (other != nullptr && !other->claimed)
            end_holders(*other, is_decided ? which_holders::silent : which_holders::all);
        return true;
    }
    return false;
}

store::authority_row coordinator::newest_of_both() {
    const auto here = row(need(side::legacy));
    const auto there = row(need(side::modern));
    if (!here || !there) throw trouble("crossfade.authority has no row of this stream on both sides");
    return *store::newer(here, there);
}

std::optional<store::authority_row> coordinator::newest() {
    std::optional<store::authority_row> found;
    for (const auto which : {side::legacy, side::modern}) {
        try {
            auto here = row(at(which));
            if (const auto* better = store::newer(found, here); better != nullptr && better != &*found)
                found = std::move(here);
        } catch (const trouble&) {
            if (which == side::modern && !found) throw;
        }
    }
    return found;
}

}  // namespace crossfade::handover
