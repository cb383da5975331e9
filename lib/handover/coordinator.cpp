#include "lib/handover/coordinator.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "lib/failpoint/failpoint.hpp"
#include "lib/handover/coordinator_state.hpp"
#include "lib/handover/pause.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/settings/assignment_text.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::handover {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using settings::side;
using std::chrono::milliseconds;

constexpr auto first_pause = 250ms;
constexpr auto longest_pause = 2s;

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
    // The server has to notice that whoever makes a flip is gone with his host, or his lock would keep others out for
    // hours.
    for (const char* setting : {lock_timeout_sql, "SET tcp_keepalives_idle = 10", "SET tcp_keepalives_interval = 5",
                                "SET tcp_keepalives_count = 3", "SET tcp_user_timeout = 30000"})
        if (const auto set = opened->exec(setting); !set)
            throw trouble(name(which) + ": " + pgclient::to_string(set.error()));
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
    failpoint::pass("flip.begun");
    // Those that somebody has overruled; where the gates saw none, none may have come since.
    if (std::ranges::find(what.forced, "dead_letters") != what.forced.end())
        made.letters = letters(new_side, old_side.stream);
    // Of proxies that were killed nobody else takes it away.
    ask(old_side, "forgetting proxies that are gone",
        "DELETE FROM crossfade.proxies WHERE stream = $1::text AND seen_at < clock_timestamp() - interval '1 hour'",
        {config_.stream.name});

    const auto until = clock::now() + what.patience;
    auto rest = milliseconds{first_pause};
    for (;;) {
        ++told.attempts;
        told.details.clear();
        const auto why = try_once(made, told);
        if (!why) break;
        undo(old_side, made.flip, why->why);
        if (made.began != clock::time_point{})
            told.held = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - made.began);
        say_("attempt " + std::to_string(told.attempts) + ": " + why->why + "; undone, writes go on");
        if (why->for_good || clock::now() + rest >= until || !pause(what.give_up, rest)) {
            told.why = why->why;
            auto entry = entry_of(config_.stream.name, what);
            entry.outcome = "undone: " + why->why;
            note_undone(old_side, entry);
            return told;
        }
        rest = std::min<milliseconds>(2 * rest, longest_pause);
    }
    finish(old_side, what.give_up);
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

// Nothing: it is decided.
std::optional<coordinator::setback> coordinator::try_once(attempt& made, report& into) {
    try {
        auto why = attempt_once(made, into);
        if (why && made.what.give_up.stop_requested()) return setback{"whoever makes it is stopping", true};
        return why;
    } catch (const trouble& why) {
        // While the flip's lock is still ours it is ours to undo, and the reason is known to nobody else.
        for (const auto* each : {&legacy_, &modern_})
            if (!*each || PQstatus((*each)->db.native()) != CONNECTION_OK) throw;
        return setback{why.what(), true};
    }
}

std::optional<coordinator::setback> coordinator::attempt_once(attempt& made, report& into) {
    const auto& what = made.what;
    auto& old_side = need(made.from);
    auto& new_side = need(what.meant.to);
    into.steps.clear();
    made.began = {};
    learn(old_side);
    learn(new_side);
    if (auto objection = divide_sequences(made)) return setback{std::move(*objection), true};
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
    if (!hold(made, into)) return setback{"transactions of proxies did not end within " + text_of(what.hold_max)};
    note(into, made, "held");
    failpoint::pass("flip.held");
    if (!fence(made)) {
        into.details = obstacles(old_side);
        return setback{"the tables of " + name(made.from) + " could not be locked within " + text_of(what.hold_max)};
    }
    note(into, made, "fenced");
    failpoint::pass("flip.fenced");
    if (!drain(made)) {
        into.details.emplace_back("crossfade status says where it stands: the publisher, Kafka or crossfade-cdc");
        return setback{"what was written on " + name(made.from) + " did not reach " + name(new_side.which) +
                       " within " + text_of(what.hold_max)};
    }
    if (letters(new_side, old_side.stream) > made.letters) {
        into.details.emplace_back("crossfade deadletters list; then replay or discard them");
        return setback{"changes of " + name(made.from) + " became dead letters on " + name(new_side.which)};
    }
    if (auto why = not_whole(made); !why.empty()) return setback{std::move(why), true};
    if (!leads_back(new_side)) {
        into.details.emplace_back("crossfade status names the way out");
        return setback{"the way back is gone: " + name(new_side.which) + " has no slot crossfade_" + new_side.stream};
    }
    note(into, made, "drained");
    failpoint::pass("flip.drained");

    if (auto objection = move_sequences(made)) return setback{std::move(*objection), true};
    note(into, made, "sequences");
    failpoint::pass("flip.sequences");
    if (clock::now() > made.deadline) return setback{"it took longer than " + text_of(what.hold_max)};
    if (what.give_up.stop_requested()) return setback{};
    decide(made);
    note(into, made, "decided");
    failpoint::pass("flip.decided");
    return std::nullopt;
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

}  // namespace crossfade::handover
