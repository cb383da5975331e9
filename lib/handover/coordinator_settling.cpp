// What undoes a flip, or finishes it: by whoever makes it, and by whoever comes behind one that died.
#include "lib/failpoint/failpoint.hpp"
#include "lib/handover/coordinator_state.hpp"
#include "lib/settings/assignment_text.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::handover {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using settings::side;

// For what has to be done behind the decision; then somebody else may.
constexpr auto finish_patience = 30s;

}  // namespace

leftover coordinator::settle() {
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
