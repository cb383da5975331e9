// The steps of an attempt at a flip, up to its decision.
#include <algorithm>

#include "lib/handover/coordinator_state.hpp"
#include "lib/handover/pause.hpp"
#include "lib/settings/turned.hpp"
#include "lib/store/applied.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::handover {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Who waits behind a lock that we wait for waits as long at most, and then it is tried again.
constexpr auto lock_patience = 50ms;
constexpr auto between_locks = 20ms;
constexpr auto look_again = 2ms;
// Of a proxy that hasn't been seen: it is dead, or stopped, and the fence is what keeps its clients' writes out.
constexpr auto alive = 3s;
constexpr int most_named = 10;

}  // namespace

bool coordinator::hold(const attempt& made, report& into) {
    auto& old_side = need(made.from);
    for (;;) {
        const auto busy = ask(old_side, "waiting for the proxies",
                              "SELECT proxy, busy FROM crossfade.proxies WHERE stream = $1::text AND seen_at >"
                              " clock_timestamp() - $3::interval AND holds_for IS DISTINCT FROM $2::bigint ORDER BY 1",
                              {config_.stream.name, std::to_string(made.flip),
                               interval(std::chrono::duration_cast<milliseconds>(alive))});
        if (busy.empty()) return true;
        if (clock::now() >= made.deadline) {
            for (int i = 0; i < std::min(busy.size(), most_named); ++i)
                into.details.push_back("proxy " + std::string{busy.text(i, 0)} + ": " + std::string{busy.text(i, 1)} +
                                       " sessions in a transaction");
            for (auto& each : obstacles(old_side)) into.details.push_back(std::move(each));
            return false;
        }
        if (!pause(made.what.give_up, look_again)) return false;
    }
}

bool coordinator::with_tables(place& on, const std::string& doing, const settings::assignment& fenced_by,
                              const std::string& then, clock::time_point until, const std::stop_token& give_up) {
    std::string locks;
    std::string fences;
    for (const auto& each : on.tables) {
        const auto wanted = store::fence_of(fenced_by, on.which, config_.flags, each);
        if (wanted == each.now) continue;
        locks += (locks.empty() ? "LOCK TABLE ONLY " : ", ONLY ") + each.name;
        fences += store::set_fence_sql(each, wanted, config_.tenants.column);
    }
    if (!locks.empty()) locks += " IN SHARE ROW EXCLUSIVE MODE;";
    // An autovacuum in the way is cancelled by the deadlock check alone, and that comes after the timeout otherwise.
    const std::string sql =
        "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL crossfade.fencing = on; SET LOCAL lock_timeout = " +
        std::to_string(milliseconds{lock_patience}.count()) + ';' +
        (on.may_hurry ? " SET LOCAL deadlock_timeout = 10;" : "") + locks + fences + then + "; COMMIT";
    for (;;) {
        auto got = on.db.exec(sql);
        if (got) {
            for (auto& each : on.tables) each.now = store::fence_of(fenced_by, on.which, config_.flags, each);
            return true;
        }
        const auto why = got.error();
        if (why.connection_lost()) throw trouble(doing + " on " + name(on.which) + ": " + to_string(why));
        ask(on, doing, "ROLLBACK");
        if (why.sqlstate != "55P03" && why.sqlstate != "40P01")
            throw trouble(doing + " on " + name(on.which) + ": " + to_string(why));
        if (clock::now() + between_locks >= until || !pause(give_up, between_locks)) return false;
    }
}

bool coordinator::fence(attempt& made) {
    auto& old_side = need(made.from);
    const auto stream = pgclient::quote_literal(config_.stream.name);
    // The mark asks whoever applies the stream to say that he has come by.
    const std::string then =
        "UPDATE crossfade.authority SET state = 'fenced', fenced_at = " + store::ask_to_be_told_sql() +
        ", follower_since = clock_timestamp(), updated_at = clock_timestamp() WHERE stream = " + stream +
        " AND state = 'holding' AND flip = " + std::to_string(made.flip) +
        "; UPDATE crossfade.flips SET fenced_at = clock_timestamp() WHERE id = " + std::to_string(made.flip);
    if (!with_tables(old_side, "fencing the tables", made.what.meant.after, then, made.deadline, made.what.give_up))
        return false;
    const auto found = row(old_side);
    if (!found || found->state != store::handover_state::fenced || found->flip != made.flip || !found->fenced_at)
        throw trouble("fencing the tables on " + name(made.from) + ": somebody else has changed crossfade.authority");
    made.fenced_at = *found->fenced_at;
    return true;
}

bool coordinator::drain(const attempt& made) {
    auto& new_side = need(settings::other(made.from));
    const auto& stream = need(made.from).stream;
    while (!has_all(new_side, stream, made.fenced_at)) {
        if (clock::now() >= made.deadline) return false;
        if (!pause(made.what.give_up, look_again)) return false;
    }
    flush(new_side);
    return true;
}

// What was written on the other side before it was fenced.
bool coordinator::has_all(place& on, const std::string& stream, model::lsn fenced_at) {
    const auto progress = store::load_progress(on.db, stream, 0);
    if (!progress) throw trouble("reading progress on " + name(on.which) + ": " + to_string(progress.error()));
    if (!*progress || (*progress)->end_lsn <= fenced_at) return false;
    // What a proxy has written there itself, and the stream has not come by: of a transaction that was never committed,
    // as none is under way any more.
    const auto left =
        ask(on, "counting receipts", "SELECT count(*) FROM crossfade.receipts WHERE stream = $1::text", {stream});
    return left.integer(0, 0) == 0;
}

// Who applies commits without that (store::do_not_flush_sql), and a crash behind the decision would take away what was
// seen before it. A flush takes along all that was committed before; only a transaction that has written makes one.
void coordinator::flush(place& on) {
    ask(on, "flushing what was applied",
        "SET LOCAL synchronous_commit = on; UPDATE crossfade.authority SET updated_at = clock_timestamp() WHERE stream"
        " = " +
            pgclient::quote_literal(config_.stream.name));
}

}  // namespace crossfade::handover
