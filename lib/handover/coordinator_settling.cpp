// What undoes a flip, or finishes it: by whoever makes it, and by whoever comes behind one that died.
#include "lib/failpoint/failpoint.hpp"
#include "lib/handover/coordinator_state.hpp"
#include "lib/handover/pause.hpp"
#include "lib/settings/assignment_text.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::handover {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using settings::side;

// For what has to be done behind the decision; then somebody else may.
constexpr auto finish_patience = 30s;
constexpr auto look_for_all = 20ms;
constexpr const char* gone = "whoever made it has died, or said nothing any more";

}  // namespace

leftover coordinator::settle(const std::stop_token& give_up) {
    auto made = leftover::none;
    for (const auto which : {side::legacy, side::modern}) {
        auto& kept = which == side::legacy ? legacy_ : modern_;
        if (!kept || !kept->claimed) continue;
        const auto found = row(*kept);
        if (!found) continue;
        if (found->state == store::handover_state::settled) {
            close_history(*kept);
            continue;
        }
        if (found->state == store::handover_state::handed) {
            say_("finishing a flip that was decided: " + name(settings::other(which)) + " is the authority of " +
                 to_string(found->moving));
            if (away_) throw *away_;
            finish(*kept, give_up);
            made = leftover::finished;
        } else {
            say_("undoing a flip that was not decided");
            undo(*kept, found->flip, gone);
            note_undone(*kept, {.stream = config_.stream.name,
                                .by_whom = "",
                                .program = "",
                                .action = "flip",
                                .scope = to_string(found->moving),
                                .reason = "",
                                .before_json = "",
                                .after_json = settings::assignment_json(found->authorities),
                                .outcome = "undone: " + std::string{gone}});
            made = leftover::undone;
        }
    }
    if (away_) throw *away_;
    return made;
}

void coordinator::note_undone(place& on, const store::audit_entry& entry) {
    const auto noted = store::append_audit(on.db, entry);
    if (!noted) say_("what was undone is not in the audit log: " + pgclient::to_string(noted.error()));
}

// Of one that died before anybody was asked to hold nothing is left but this.
void coordinator::close_history(place& on) {
    ask(on, "closing the history",
        "UPDATE crossfade.flips SET outcome = 'undone', why = $2::text, ended_at = clock_timestamp()"
        " WHERE stream = $1::text AND outcome = 'under way'",
        {config_.stream.name, "whoever made it has died before anything was held"});
}

void coordinator::undo(place& on, std::int64_t flip, const std::string& why) {
    const std::string then =
        "UPDATE crossfade.flips SET outcome = 'undone', why = " + pgclient::quote_literal(why) +
        ", ended_at = clock_timestamp() WHERE id = " + std::to_string(flip) +
        " AND outcome <> 'done'"
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

// It had all of it before the decision, and may have lost some since: in a crash that came before the flush, or by a
// failover to a standby that lags. Open it would refuse what is brought again. `by`: the row of the decided side.
void coordinator::wait_for_all(place& decided, place& opened, const store::authority_row& by,
                               const std::stop_token& give_up) {
    if (!by.fenced_at) throw trouble("opening " + name(opened.which) + ": crossfade.authority has no fenced_at");
    const auto lacks = name(opened.which) + " lacks some of what " + name(decided.which) + " took before";
    const auto until = clock::now() + finish_patience;
    for (bool said = false; !has_all(opened, decided.stream, *by.fenced_at); said = true) {
        if (!said) say_(lacks + ": it is opened when the stream has brought that again");
        if (clock::now() >= until || !pause(give_up, look_for_all))
            throw trouble("opening " + name(opened.which) + ", which is decided: " + lacks +
                          ". It is tried again. Way out: crossfade status says where stream " + decided.stream +
                          " stands");
        // So that nobody takes this one for stopped; and whoever has lost the lock stops waiting.
        ask(decided, "waiting", "SELECT 1");
    }
}

// `decided`: the side that is none any more.
void coordinator::finish(place& decided, const std::stop_token& give_up) {
    const auto old_row = row(decided);
    if (!old_row || old_row->state != store::handover_state::handed) throw trouble("there is nothing to be finished");
    auto& opened = need(settings::other(decided.which));
    if (opened.tables.empty()) learn(opened);
    const auto stream = pgclient::quote_literal(config_.stream.name);
    const auto epoch = std::to_string(old_row->epoch);
    const auto there = row(opened);
    // Somebody who comes late, with a decision that has been superseded, opens nothing.
    if (!there || there->epoch < old_row->epoch) {
        wait_for_all(decided, opened, *old_row, give_up);
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
