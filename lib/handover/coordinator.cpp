#include "lib/handover/coordinator.hpp"

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "lib/failpoint/failpoint.hpp"
#include "lib/handover/coordinator_state.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/settings/assignment_text.hpp"
#include "lib/settings/turned.hpp"
#include "lib/store/applied.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::handover {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using settings::side;
using std::chrono::milliseconds;

// Who waits behind a lock that we wait for waits as long at most, and then it is tried again.
constexpr auto lock_patience = 50ms;
constexpr auto between_locks = 20ms;
constexpr auto look_again = 2ms;
// Of a proxy that hasn't been seen: it is dead, or stopped, and the fence is what keeps its clients' writes out.
constexpr auto alive = 3s;
// Beyond hold_max, for which proxies go on holding when nothing comes of it any more.
constexpr auto hold_grace = 3s;
constexpr auto first_pause = 250ms;
constexpr auto longest_pause = 2s;
// For what has to be done behind the decision; then somebody else may.
constexpr auto finish_patience = 30s;
constexpr int most_named = 10;

std::string name(side of) {
    return std::string{to_string(of)};
}

std::string text_of(milliseconds time) {
    return std::to_string(time.count()) + " ms";
}

std::string interval(milliseconds time) {
    return std::to_string(time.count()) + " milliseconds";
}

}  // namespace

store::audit_entry entry_of(const std::string& stream, const order& what) {
    auto after = settings::assignment_json(what.meant.after);
    if (!what.forced.empty()) {
        after.pop_back();
        after += R"(,"overruled":[)";
        for (const auto& each : what.forced) after += (each == what.forced.front() ? "\"" : ",\"") + each + '"';
        after += "]}";
    }
    return {.stream = stream,
            .by_whom = what.by,
            .program = what.program,
            .action = "flip",
            .scope = to_string(what.scope) + " to " + name(what.meant.to),
            .reason = what.reason,
            .before_json = settings::assignment_json(what.meant.before),
            .after_json = std::move(after),
            .outcome = {}};
}

coordinator::coordinator(const settings::configuration& config, std::function<void(const std::string&)> say)
    : config_(config), say_(std::move(say)) {}

coordinator::~coordinator() = default;

coordinator::place& coordinator::at(side which) {
    auto& kept = which == side::legacy ? legacy_ : modern_;
    if (kept && PQstatus(kept->db.native()) == CONNECTION_OK) return *kept;
    kept.reset();
    pgclient::open_options options;
    options.application_name = "crossfade-flip";
    auto opened = pgclient::connection::open(config_.database_of(which).dsn, options);
    if (!opened) throw trouble(name(which) + ": " + pgclient::to_string(opened.error()));
    const auto& stream = config_.stream.name;
    kept = std::make_unique<place>(
        place{which, which == side::legacy ? stream : settings::back_stream(stream), std::move(*opened)});
    return *kept;
}

// As claimed: whoever lost his connection has lost the right to go on as well.
coordinator::place& coordinator::need(side which) {
    auto& kept = which == side::legacy ? legacy_ : modern_;
    if (!kept || !kept->claimed || PQstatus(kept->db.native()) != CONNECTION_OK)
        throw trouble(name(which) + ": the connection that held the flip's lock is gone");
    return *kept;
}

pgclient::rows coordinator::ask(place& on, const std::string& doing, const std::string& sql,
                                const std::vector<pgclient::parameter>& parameters) {
    auto got = parameters.empty() ? on.db.exec(sql) : on.db.exec(sql, parameters);
    if (!got) throw trouble(doing + " on " + name(on.which) + ": " + pgclient::to_string(got.error()));
    return std::move(*got);
}

std::optional<store::authority_row> coordinator::row(place& on) {
    auto got = store::load_authority(on.db, config_.stream.name);
    if (!got) throw trouble("reading who is the authority, on " + name(on.which) + ": " + to_string(got.error()));
    return std::move(*got);
}

// What need not be asked while writes are held.
void coordinator::learn(place& on) {
    auto got = store::load_fences(on.db, "crossfade_" + on.stream, config_.tenants.column);
    if (!got) throw trouble("reading the stream's tables on " + name(on.which) + ": " + to_string(got.error()));
    on.tables = std::move(*got);
    std::erase_if(on.tables, [](const auto& table) { return !table.prepared; });
    // The question came with PostgreSQL 15.
    on.may_hurry =
        on.db.server_version() >= 150000 &&
        ask(on, "reading the role", "SELECT has_parameter_privilege('deadlock_timeout', 'SET')").boolean(0, 0);
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

bool coordinator::claim() {
    std::optional<trouble> away;
    int reached = 0;
    for (const auto which : {side::legacy, side::modern}) {
        try {
            auto& on = at(which);
            ++reached;
            if (on.claimed) continue;
            const auto got = ask(on, "taking the flip's lock", "SELECT pg_try_advisory_lock($1::int, $2::int)",
                                 store::handover_lock_key(config_.stream.name));
            if (!got.boolean(0, 0)) return false;
            on.claimed = true;
        } catch (const trouble& why) {
            away = why;
        }
    }
    if (reached == 0) throw *away;
    return true;
}

leftover coordinator::settle() {
    auto made = leftover::none;
    for (const auto which : {side::legacy, side::modern}) {
        auto& kept = which == side::legacy ? legacy_ : modern_;
        if (!kept || !kept->claimed) continue;
        const auto found = row(*kept);
        if (!found || found->state == store::handover_state::settled) continue;
        if (found->state == store::handover_state::handed) {
            say_("finishing a flip that was decided: " + name(settings::other(which)) + " is the authority of " +
                 to_string(found->moving));
            finish(*kept);
            made = leftover::finished;
        } else {
            say_("undoing a flip that was not decided");
            undo(*kept, found->flip, "whoever made it has died");
            note_undone(*kept, {.stream = config_.stream.name,
                                .by_whom = "",
                                .program = "",
                                .action = "flip",
                                .scope = to_string(found->moving),
                                .reason = "",
                                .before_json = "",
                                .after_json = settings::assignment_json(found->authorities),
                                .outcome = "undone: whoever made it has died"});
            made = leftover::undone;
        }
    }
    return made;
}

report coordinator::flip(const order& what) {
    const auto to = what.meant.to;
    const auto from = settings::other(to);
    report told;
    auto& old_side = need(from);
    auto& new_side = need(to);
    const auto here = row(old_side);
    const auto there = row(new_side);
    if (!here || !there) throw trouble("crossfade.authority has no row of this stream on both sides");
    const auto& now = *store::newer(here, there);
    told.epoch = now.epoch;
    if (now.authorities == what.meant.after) {
        told.done = true;
        told.why = name(to) + " is the authority of " + to_string(what.scope) + " already";
        return told;
    }
    if (now.authorities != what.meant.before) throw trouble("somebody else has made a flip in between");
    pgwire::array_literal forced;
    for (const auto& each : what.forced) forced.add(each);
    const auto begun =
        ask(old_side, "beginning a flip",
            "INSERT INTO crossfade.flips (stream, from_side, to_side, by_whom, reason, forced, table_group,"
            " tenant) VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text[], $7::text,"
            " $8::text) RETURNING id",
            {config_.stream.name, name(from), name(to), what.by, what.reason, forced.take(), what.scope.group,
             what.scope.tenant});
    attempt made{what, from, now.epoch, begun.integer(0, 0).value_or(0)};
    // Those that somebody has overruled; where the gates saw none, none may have come since.
    if (std::ranges::find(what.forced, "dead_letters") != what.forced.end())
        made.letters = letters(new_side, old_side.stream);
    // Of proxies that were killed nobody else takes it away.
    ask(old_side, "forgetting proxies that are gone",
        "DELETE FROM crossfade.proxies WHERE stream = $1::text AND seen_at < clock_timestamp() - interval '1 hour'",
        {config_.stream.name});

    const auto until = clock::now() + what.patience;
    auto pause = milliseconds{first_pause};
    for (;;) {
        ++told.attempts;
        told.details.clear();
        const auto why = try_once(made, told);
        if (!why) break;
        undo(old_side, made.flip, *why);
        told.held = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - made.began);
        say_("attempt " + std::to_string(told.attempts) + ": " + *why + "; undone, writes go on");
        if (clock::now() + pause >= until) {
            told.why = *why;
            auto entry = entry_of(config_.stream.name, what);
            entry.outcome = "undone: " + *why;
            note_undone(old_side, entry);
            return told;
        }
        std::this_thread::sleep_for(pause);
        pause = std::min<milliseconds>(2 * pause, longest_pause);
    }
    finish(old_side);
    note(told, made, "opened");
    told.held = told.steps.back().second;
    rejoin_sequences(what.meant.after);
    told.done = true;
    told.epoch = made.epoch + 1;
    return told;
}

void coordinator::note(report& into, const attempt& made, std::string step) {
    into.steps.emplace_back(std::move(step),
                            std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - made.began));
}

// Why it didn't work out; nothing: it is decided.
std::optional<std::string> coordinator::try_once(attempt& made, report& into) {
    const auto& what = made.what;
    auto& old_side = need(made.from);
    auto& new_side = need(what.meant.to);
    into.steps.clear();
    learn(old_side);
    learn(new_side);
    divide_sequences(made);
    made.onto = sequences(new_side);
    made.began = clock::now();
    made.deadline = made.began + what.hold_max;
    ask(old_side, "asking the proxies to hold",
        "WITH f AS (UPDATE crossfade.flips SET attempts = attempts + 1, held_at = clock_timestamp(), outcome = 'under "
        "way',"
        " why = '' WHERE id = $2::bigint), a AS (UPDATE crossfade.authority SET state = 'holding', flip = $2::bigint,"
        " moving = $4::jsonb, hold_until = clock_timestamp() + $3::interval, updated_at = clock_timestamp() WHERE "
        "stream = $1::text)"
        " SELECT pg_notify('crossfade.authority', $1::text)",
        {config_.stream.name, std::to_string(made.flip),
         interval(what.hold_max + std::chrono::duration_cast<milliseconds>(hold_grace)),
         settings::scope_json(what.scope)});
    failpoint::pass("flip.holding");
    if (!hold(made, into)) return "transactions of proxies did not end within " + text_of(what.hold_max);
    note(into, made, "held");
    failpoint::pass("flip.held");
    if (!fence(made)) {
        into.details = obstacles(old_side);
        return "the tables of " + name(made.from) + " could not be locked within " + text_of(what.hold_max);
    }
    note(into, made, "fenced");
    failpoint::pass("flip.fenced");
    if (!drain(made)) {
        into.details.emplace_back("crossfade status says where it stands: the publisher, Kafka or crossfade-cdc");
        return "what was written on " + name(made.from) + " did not reach " + name(new_side.which) + " within " +
               text_of(what.hold_max);
    }
    if (letters(new_side, old_side.stream) > made.letters) {
        into.details.emplace_back("crossfade deadletters list; then replay or discard them");
        return "changes of " + name(made.from) + " became dead letters on " + name(new_side.which);
    }
    if (!leads_back(new_side)) {
        into.details.emplace_back("crossfade status names the way out");
        return "the way back is gone: " + name(new_side.which) + " has no slot crossfade_" + new_side.stream;
    }
    note(into, made, "drained");
    failpoint::pass("flip.drained");

    if (auto objection = move_sequences(made)) return objection;
    note(into, made, "sequences");
    failpoint::pass("flip.sequences");
    if (clock::now() > made.deadline) return "it took longer than " + text_of(what.hold_max);
    decide(made);
    note(into, made, "decided");
    failpoint::pass("flip.decided");
    return std::nullopt;
}

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
        std::this_thread::sleep_for(look_again);
    }
}

bool coordinator::with_tables(place& on, const std::string& doing, const settings::assignment& fenced_by,
                              const std::string& then, clock::time_point until) {
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
        if (clock::now() + between_locks >= until) return false;
        std::this_thread::sleep_for(between_locks);
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
    if (!with_tables(old_side, "fencing the tables", made.what.meant.after, then, made.deadline)) return false;
    const auto found = row(old_side);
    if (!found || found->state != store::handover_state::fenced || found->flip != made.flip || !found->fenced_at)
        throw trouble("fencing the tables on " + name(made.from) + ": somebody else has changed crossfade.authority");
    made.fenced_at = *found->fenced_at;
    return true;
}

bool coordinator::drain(const attempt& made) {
    auto& new_side = need(settings::other(made.from));
    const auto& stream = need(made.from).stream;
    for (;;) {
        const auto progress = store::load_progress(new_side.db, stream, 0);
        if (!progress)
            throw trouble("reading progress on " + name(new_side.which) + ": " + to_string(progress.error()));
        if (*progress && (*progress)->end_lsn > made.fenced_at) {
            // What a proxy has written there itself, and the stream has not come by: of a transaction that was never
            // committed, as none is under way any more.
            const auto left = ask(new_side, "counting receipts",
                                  "SELECT count(*) FROM crossfade.receipts WHERE stream = $1::text", {stream});
            if (left.integer(0, 0) == 0) return true;
        }
        if (clock::now() >= made.deadline) return false;
        std::this_thread::sleep_for(look_again);
    }
}

void coordinator::decide(const attempt& made) {
    const auto& after = made.what.meant.after;
    auto entry = entry_of(config_.stream.name, made.what);
    entry.outcome = "done, epoch " + std::to_string(made.epoch + 1);
    const auto flip = std::to_string(made.flip);
    auto& old_side = need(made.from);
    const auto done = old_side.db.exec(
        "BEGIN; SET LOCAL synchronous_commit = on; DO $decide$ BEGIN"
        " UPDATE crossfade.authority SET epoch = epoch + 1, authority = '" +
        name(after.everything) + "', apart = " + pgclient::quote_literal(settings::apart_text(after.apart)) +
        "::jsonb, state = 'handed', hold_until = NULL, updated_at = clock_timestamp() WHERE stream = " +
        pgclient::quote_literal(config_.stream.name) + " AND state = 'fenced' AND flip = " + flip +
        " AND epoch = " + std::to_string(made.epoch) +
        "; IF NOT FOUND THEN RAISE EXCEPTION 'somebody else has changed crossfade.authority' USING ERRCODE = 'XF004';"
        " END IF; UPDATE crossfade.flips SET decided_at = clock_timestamp(), outcome = 'done', epoch = " +
        std::to_string(made.epoch + 1) + " WHERE id = " + flip + "; END $decide$; " + store::append_audit_sql(entry) +
        "; COMMIT");
    if (done) return;
    static_cast<void>(old_side.db.exec("ROLLBACK"));
    throw trouble("deciding on " + name(made.from) + ": " + pgclient::to_string(done.error()));
}

void coordinator::note_undone(place& on, const store::audit_entry& entry) {
    const auto noted = store::append_audit(on.db, entry);
    if (!noted) say_("what was undone is not in the audit log: " + pgclient::to_string(noted.error()));
}

void coordinator::undo(place& on, std::int64_t flip, const std::string& why) {
    const std::string then =
        "UPDATE crossfade.flips f SET outcome = 'undone', why = " + pgclient::quote_literal(why) +
        ", ended_at = clock_timestamp() FROM crossfade.authority a WHERE f.id = " + std::to_string(flip) +
        " AND a.stream = f.stream AND a.state IN ('holding', 'fenced')"
        "; UPDATE crossfade.authority SET state = 'settled', flip = NULL, moving = NULL, hold_until = NULL, updated_at "
        "= "
        "clock_timestamp()"
        " WHERE stream = " +
        pgclient::quote_literal(config_.stream.name) +
        " AND state IN ('holding', 'fenced'); SELECT pg_notify('crossfade.authority', " +
        pgclient::quote_literal(config_.stream.name) + ')';
    const auto found = row(on);
    if (!found || found->state == store::handover_state::handed) throw trouble("there is nothing to be undone");
    if (on.tables.empty()) learn(on);
    // Where the fence was not reached there is nothing to lock.
    const bool fenced = found->state == store::handover_state::fenced;
    if (!fenced) {
        ask(on, "undoing", "BEGIN; " + then + "; COMMIT");
        return;
    }
    if (!with_tables(on, "undoing", found->authorities, then, clock::now() + finish_patience))
        throw trouble("undoing on " + name(on.which) + ": the tables could not be locked; it is tried again");
}

// `decided`: the side that is none any more.
void coordinator::finish(place& decided) {
    const auto old_row = row(decided);
    if (!old_row || old_row->state != store::handover_state::handed) throw trouble("there is nothing to be finished");
    auto& opened = need(settings::other(decided.which));
    if (opened.tables.empty()) learn(opened);
    const auto stream = pgclient::quote_literal(config_.stream.name);
    const auto epoch = std::to_string(old_row->epoch);
    const auto there = row(opened);
    // Somebody who comes late, with a decision that has been superseded, opens nothing.
    if (!there || there->epoch < old_row->epoch) {
        const std::string then =
            "DO $open$ BEGIN PERFORM FROM crossfade.authority WHERE stream = " + stream + " AND epoch < " + epoch +
            " FOR UPDATE; IF NOT FOUND THEN RAISE EXCEPTION 'another flip was decided' USING ERRCODE = 'XF004'; END IF;"
            " END $open$; UPDATE crossfade.authority SET epoch = " +
            epoch + ", authority = '" + name(old_row->authorities.everything) +
            "', apart = " + pgclient::quote_literal(settings::apart_text(old_row->authorities.apart)) +
            "::jsonb, state = 'settled', flip = NULL, moving = NULL, hold_until = NULL, updated_at = clock_timestamp() "
            "WHERE stream = " +
            stream + "; SELECT pg_notify('crossfade.authority', " + stream + ")";
        if (!with_tables(opened, "opening", old_row->authorities, then, clock::now() + finish_patience))
            throw trouble("opening " + name(opened.which) + ": the tables could not be locked; it is tried again");
    }
    failpoint::pass("flip.opened");
    ask(decided, "finishing",
        "WITH f AS (UPDATE crossfade.flips f SET ended_at = clock_timestamp() FROM crossfade.authority a"
        " WHERE a.stream = $1::text AND f.id = a.flip AND a.epoch = $2::bigint),"
        " a AS (UPDATE crossfade.authority SET state = 'settled', flip = NULL, moving = NULL, updated_at = "
        "clock_timestamp()"
        " WHERE stream = $1::text AND state = 'handed' AND epoch = $2::bigint)"
        " SELECT pg_notify('crossfade.authority', $1::text)",
        {config_.stream.name, epoch});
}

}  // namespace crossfade::handover
