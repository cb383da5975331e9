#include "lib/handover/completion.hpp"

#include <chrono>
#include <optional>
#include <stop_token>
#include <utility>

#include "lib/handover/coordinator.hpp"
#include "lib/handover/gates_parts.hpp"
#include "lib/handover/pause.hpp"
#include "lib/settings/assignment_text.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::handover {
namespace {

using namespace std::chrono_literals;
using preflight::verdict;
using settings::side;

// Who reads the slot comes again at once, and looks first whether it is still wanted.
constexpr auto slot_patience = 10s;
constexpr auto between_looks = 100ms;

preflight::findings look(const settings::configuration& config, const store::authority_row& now,
                         pgclient::connection& legacy, pgclient::connection& modern) {
    preflight::findings found;
    if (now.authorities == settings::assignment{side::modern, {}})
        found.ok("authority", "modern is the authority of everything, epoch " + std::to_string(now.epoch));
    else
        found.fail("authority", to_string(now.authorities) + ": only what is on modern as a whole is completed",
                   "crossfade flip --to modern");
    const auto from = gates::end_at(config, side::modern, modern);
    const auto to = gates::end_at(config, side::legacy, legacy);
    const intent everything{side::modern, settings::assignment{side::legacy, {}},
                            settings::assignment{side::modern, {}}};
    // Legacy stays as the last copy of what there was: it is to be a whole one.
    gates::look_at_differences(config.flags, everything, from, to, found);
    gates::look_at_way(from, to, {}, found);
    return found;
}

store::audit_entry entry_of(const settings::configuration& config, const ending& what, std::string outcome) {
    return {.stream = config.stream.name,
            .by_whom = what.by,
            .program = what.program,
            .action = "complete",
            .scope = "everything on modern",
            .reason = what.reason,
            .before_json = "{}",
            .after_json = R"({"way_back":"given up"})",
            .outcome = std::move(outcome)};
}

void decide(const settings::configuration& config, const ending& what, const store::authority_row& now,
            const preflight::findings& found, pgclient::connection& modern) {
    std::string forced;
    for (const auto& each : found.all())
        if (each.outcome == verdict::warn) forced += (forced.empty() ? "" : ",") + pgclient::quote_literal(each.id);
    const auto stream = pgclient::quote_literal(config.stream.name);
    const auto done = modern.exec(
        "BEGIN; SET LOCAL synchronous_commit = on; DO $decide$ BEGIN UPDATE crossfade.authority SET completed_at ="
        " clock_timestamp(), updated_at = clock_timestamp() WHERE stream = " +
        stream + " AND epoch = " + std::to_string(now.epoch) +
        " AND state = 'settled' AND authority = 'modern' AND apart = '[]'; IF NOT FOUND THEN RAISE EXCEPTION"
        " 'somebody else has changed crossfade.authority' USING ERRCODE = 'XF004'; END IF; END $decide$;"
        " INSERT INTO crossfade.flips (stream, from_side, to_side, by_whom, reason, forced, outcome, decided_at,"
        " ended_at, epoch) VALUES (" +
        stream + ", 'modern', 'modern', " + pgclient::quote_literal(what.by) + ", " +
        pgclient::quote_literal(what.reason) + ", ARRAY[" + forced +
        "]::text[], 'completed', clock_timestamp(), clock_timestamp(), " + std::to_string(now.epoch) + "); " +
        store::append_audit_sql(entry_of(config, what, "done")) + "; COMMIT");
    if (done) return;
    static_cast<void>(modern.exec("ROLLBACK"));
    throw trouble("completing on modern: " + pgclient::to_string(done.error()));
}

// Nobody reads it any more, and it would keep WAL until the disk is full.
bool drop_slot(pgclient::connection& modern, const std::string& slot) {
    const auto until = std::chrono::steady_clock::now() + slot_patience;
    do {
        const auto found = gates::ask(modern, "looking for the way back's slot",
                                      "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1::name", {slot});
        if (found.empty()) return true;
        static_cast<void>(gates::ask(modern, "ending who reads the way back's slot",
                                     "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE"
                                     " slot_name = $1::name AND active_pid IS NOT NULL",
                                     {slot}));
        auto gone = modern.exec("SELECT pg_drop_replication_slot($1::name)", {slot});
        if (gone) return true;
        if (gone.error().sqlstate != "55006" && gone.error().sqlstate != "42704")
            throw trouble("dropping slot " + slot + ": " + pgclient::to_string(gone.error()));
    } while (pause({}, between_looks) && std::chrono::steady_clock::now() < until);
    return false;
}

}  // namespace

std::string no_way_back(const std::string& completed_at) {
    return "cutover of everything was completed at " + completed_at +
           "; there is no way back by Crossfade: what modern has taken since is not on legacy";
}

ended complete(const settings::configuration& config, const ending& what,
               const std::function<void(const std::string&)>& say) {
    ended came;
    coordinator by{config, say};
    if (!by.claim()) {
        came.elsewhere = true;
        return came;
    }
    by.settle();
    const auto now = by.newest();
    if (!now) throw trouble("neither database says who the authority is. Way out: crossfade init");
    auto legacy = gates::connect(config, side::legacy);
    auto modern = gates::connect(config, side::modern);
    came.was_before = !now->completed_at.empty();
    if (!came.was_before) {
        came.gates = look(config, *now, legacy, modern);
        came.refused = came.gates.count(verdict::fail) > 0 || (came.gates.count(verdict::warn) > 0 && !what.overrule);
        if (came.refused && !what.look_only)
            if (const auto noted = store::append_audit(modern, entry_of(config, what, "refused")); !noted)
                say("the refusal is not in the audit log: " + pgclient::to_string(noted.error()));
        if (came.refused || what.look_only) return came;
        decide(config, what, *now, came.gates, modern);
    }
    gates::ask(legacy, "telling legacy",
               "UPDATE crossfade.authority SET completed_at = clock_timestamp(), updated_at = clock_timestamp()"
               " WHERE stream = $1::text AND completed_at IS NULL",
               {config.stream.name});
    const auto slot = "crossfade_" + settings::back_stream(config.stream.name);
    if (!drop_slot(modern, slot)) came.left = "slot " + slot + " on modern is in use, and keeps WAL";
    const auto row = store::load_authority(modern, config.stream.name);
    if (!row || !*row) throw trouble("reading who is the authority, on modern");
    came.completed_at = (*row)->completed_at;
    return came;
}

}  // namespace crossfade::handover
