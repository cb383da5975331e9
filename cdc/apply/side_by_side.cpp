// What applier does for lanes.
#include <algorithm>
#include <utility>

#include "cdc/apply/sorted.hpp"
#include "lib/failpoint/failpoint.hpp"

namespace crossfade::cdc::apply {

pgclient::result<bool> applier::prepare(const std::vector<consume::received>& events, scope_filter& scopes,
                                        const std::function<bool(touched_rows)>& admit) {
    if (reload_) {
        if (auto loaded = load_tables(); !loaded) return loaded.error();
    }
    // What is left out of a table that is being copied has to be known to whoever copies it (recent_transactions).
    const bool copying =
        std::ranges::any_of(tables_, [](const auto& each) { return each.second.state == "backfilling"; });
    judging_ = false;
    if (copying || letters_.asked() || judges(scopes)) return false;
    auto sorting = sort(events, scopes);
    if (!sorting) return sorting.error();
    auto& batch = *sorting;
    auto rows = touched(batch.plan);
    if (!rows || !batch.unfinished.empty() || marks_stale(batch) || !admit(std::move(*rows))) return false;

    auto& pipe = *to_.pipe;
    add_beginning();
    for (const auto& part : batch.plan.segments) {
        for (const auto& each : many(part, to_.origins, {}, settings_.stream)) pipe.add(each);
    }
    for (const auto& each : batch.mappings) pipe.add(unless_as_mapped(*each));
    pipe.add(rows_ahead(settings_.stream));
    const auto answers = pipe.run();
    if (!answers) {
        if (answers.error().connection_lost()) return answers.error();
        // Perhaps the follower's tables are others by now; whatever it is, apply() will meet it alone.
        catalog_.forget();
        if (auto done = roll_back(); !done) return done.error();
        return false;
    }
    open_ = true;
    const bool as_expected = std::ranges::all_of(*answers, &pipeline::answer::as_expected);
    if (!as_expected) catalog_.forget();
    if (!as_expected || read_beginning(*answers) != beginning::good || !answers->back().got.empty()) {
        if (auto done = roll_back(); !done) return done.error();
        return false;
    }
    so_far_ = {};
    so_far_.rows = batch.plan.changes;
    so_far_.applied = std::move(batch.applied);
    so_far_.skipped = std::move(batch.skipped);
    marks_ = {};
    marks_.note(events);
    failpoint::pass("lanes.prepared");
    return true;
}

pgclient::result<apply_report> applier::finish(const store::progress& from, const store::progress& to) {
    auto& pipe = *to_.pipe;
    tell(to.end_lsn);
    pipe.add(statement{std::string{store::advance_or_fail_sql()},
                       store::advance_parameters(settings_.stream, settings_.partition, from, to), std::nullopt});
    pipe.add("COMMIT");
    if (auto done = pipe.run(); !done) {
        if (done.error().sqlstate != store::not_advanced) {
            give_up(done.error());
            return done.error();
        }
        if (auto undone = roll_back(); !undone) return undone.error();
        apply_report report;
        report.what = apply_report::outcome::fenced;
        return report;
    }
    failpoint::pass("lanes.committed");
    open_ = false;
    progress_ = to;
    return std::exchange(so_far_, {});
}

}  // namespace crossfade::cdc::apply
