// The end of a cutover, as an operator orders it.
#include "ctl/audit/record.hpp"
#include "ctl/flip/command.hpp"
#include "ctl/flip/display.hpp"
#include "ctl/output/json.hpp"
#include "lib/handover/completion.hpp"
#include "lib/handover/coordinator.hpp"

namespace crossfade::ctl::flip {
namespace {

exit_code tell(const context& in, const options& with, const handover::ended& came) {
    const bool done = !came.completed_at.empty();
    if (in.json()) {
        in.out << output::pretty({{"completed", done},
                                  {"completed_at", came.completed_at},
                                  {"refused", came.refused},
                                  {"left", came.left},
                                  {"gates", gates_json(came.gates)}});
    } else {
        if (!came.gates.all().empty()) print(in, came.gates);
        if (came.refused)
            in.out << "refused; nothing has changed\n";
        else if (!done)
            in.out << "it may be done, and can't be undone: --yes does it\n";
        else
            in.out << "the cutover was completed at " << came.completed_at << "; nothing leads back to legacy\n";
        if (!came.left.empty()) in.out << came.left << ": say it again\n";
    }
    if (came.refused || !came.left.empty()) return exit_code::no;
    return done || with.dry_run ? exit_code::fine : exit_code::no;
}

}  // namespace

exit_code complete(const context& in, const options& with) {
    require_both_ways(in);
    if (with.yes && with.reason.empty())
        throw stop(exit_code::usage, "it can't be undone, and is to be found again: it needs a reason",
                   "crossfade flip --complete --yes --reason \"...\"");
    try {
        const auto came = handover::complete(in.config,
                                             {.by = audit::whom(with.by),
                                              .program = "crossfade",
                                              .reason = with.reason,
                                              .look_only = with.dry_run || !with.yes,
                                              .overrule = with.force},
                                             [&](const std::string& what) { in.notes << what << '\n'; });
        if (came.elsewhere)
            throw stop(exit_code::no, "a flip is under way", "wait for its end; crossfade flip --history");
        return tell(in, with, came);
    } catch (const handover::trouble& why) {
        throw stop(exit_code::unreachable, why.what(), "say it again, as soon as both databases answer");
    }
}

}  // namespace crossfade::ctl::flip
