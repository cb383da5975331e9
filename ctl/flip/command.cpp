#include "ctl/flip/command.hpp"

#include <algorithm>
#include <array>

#include "ctl/audit/record.hpp"
#include "ctl/catalog/database.hpp"
#include "ctl/flip/display.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "lib/handover/carry_out.hpp"

namespace crossfade::ctl::flip {
namespace {

using settings::side;

std::string milliseconds_text(std::chrono::microseconds time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) + " ms";
}

// Of the file's; a name that it doesn't have would move nothing, and nobody would know.
settings::flag_scope scope_of(const context& in, const options& with) {
    if (!with.group.empty() && !in.config.flags.groups().contains(with.group))
        throw stop(exit_code::usage, "the file has no group '" + with.group + "'", "crossfade flags show lists them");
    if (!with.tenant.empty() &&
        (in.config.tenants.session == settings::tenant_source::none || in.config.tenants.column.empty()))
        throw stop(exit_code::usage, "tenants can't be told apart: a tenant changes hands by its sessions and its rows",
                   "set tenants.session and tenants.column, then start the programs again");
    return {with.group, with.tenant};
}

std::string of_scope(const options& with) {
    if (with.group.empty() && with.tenant.empty()) return {};
    return " of " + to_string(settings::flag_scope{with.group, with.tenant});
}

exit_code tell(const context& in, const options& with, const preflight::findings& found, const handover::report& made) {
    if (in.json()) {
        boost::json::array details;
        for (const auto& each : made.details) details.emplace_back(each);
        boost::json::object steps;
        for (const auto& [step, time] : made.steps) steps[step] = static_cast<double>(time.count()) / 1000;
        in.out << output::pretty({{"done", made.done},
                                  {"to", with.to},
                                  {"group", with.group},
                                  {"tenant", with.tenant},
                                  {"epoch", made.epoch},
                                  {"attempts", made.attempts},
                                  {"held_ms", static_cast<double>(made.held.count()) / 1000},
                                  {"steps_ms", steps},
                                  {"why", made.why},
                                  {"details", details},
                                  {"gates", gates_json(found)}});
    } else if (made.done && made.attempts == 0) {
        in.out << made.why << '\n';
    } else if (made.done) {
        for (const auto& [step, time] : made.steps)
            in.notes << "  " << step << " after " << milliseconds_text(time) << '\n';
        in.out << with.to << " is the authority" << of_scope(with) << ", epoch " << made.epoch
               << "; writes were held for " << milliseconds_text(made.held)
               << (made.attempts > 1 ? ", in attempt " + std::to_string(made.attempts) : std::string{}) << '\n';
    } else {
        in.out << "not done, and undone after " << made.attempts << " attempts: " << made.why << '\n';
        for (const auto& each : made.details) in.out << "  " << each << '\n';
    }
    return made.done ? exit_code::fine : exit_code::no;
}

}  // namespace

exit_code run(const context& in, const options& with) {
    require_both_ways(in);
    const auto say = [&](const std::string& what) { in.notes << what << '\n'; };
    const auto elsewhere = [] {
        return stop(exit_code::no, "another flip is under way", "wait for its end; crossfade flip --history");
    };
    try {
        if (with.settle) {
            const auto made = handover::settle(in.config, say);
            if (!made) throw elsewhere();
            const auto text = handover::told(*made);
            in.json() ? in.out << output::pretty({{"settled", text}}) : in.out << text << '\n';
            return exit_code::fine;
        }
        const auto to = with.to == "modern" ? side::modern : side::legacy;
        const auto scope = scope_of(in, with);
        const auto came = handover::carry_out(in.config,
                                              {.to = to,
                                               .scope = scope,
                                               .after = [&](const auto& now) { return now.with(scope, to); },
                                               .by = audit::whom(with.by),
                                               .program = "crossfade",
                                               .reason = with.reason,
                                               .hold_max = with.hold_max,
                                               .patience = with.patience,
                                               .queue = with.patience,
                                               .look_only = with.dry_run,
                                               .overrule = with.force},
                                              say);
        if (came.elsewhere) throw elsewhere();
        if (!in.json() && !came.gates.all().empty()) print(in, came.gates);
        if (came.refused || (with.dry_run && !came.made.done)) {
            if (in.json())
                in.out << output::pretty({{"done", false},
                                          {"to", with.to},
                                          {"group", with.group},
                                          {"tenant", with.tenant},
                                          {"refused", came.refused},
                                          {"gates", gates_json(came.gates)}});
            else
                in.out << (came.refused ? "refused; nothing has changed\n" : "it may be done\n");
            return came.refused ? exit_code::no : exit_code::fine;
        }
        return tell(in, with, came.gates, came.made);
    } catch (const handover::unclear& why) {
        throw stop(exit_code::unreachable, std::string{"what became of the flip is not known: "} + why.what(),
                   "crossfade flip --settle, as soon as both databases answer");
    } catch (const handover::trouble& why) {
        throw stop(exit_code::unreachable, why.what());
    }
}

exit_code list(const context& in, int limit) {
    require_both_ways(in);
    struct entry {
        std::string begun;
        std::vector<std::string> cells;
    };
    std::vector<entry> all;
    for (const auto which : {side::legacy, side::modern}) {
        auto db = catalog::connect(in.config, which);
        const auto found = catalog::ask(
            db, "reading crossfade.flips",
            "SELECT to_char(begun_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), to_side, concat_ws(' of tenant ', "
            "nullif('group ' || table_group, 'group '), nullif(tenant, '')),"
            " outcome, coalesce(epoch::text, ''),"
            " attempts::text, coalesce(round(extract(epoch FROM coalesce(ended_at, decided_at) - held_at) * "
            "1000)::text,"
            " ''), by_whom, reason, array_to_string(forced, ', '), why FROM crossfade.flips WHERE stream = $1::text"
            " ORDER BY id DESC LIMIT $2::int",
            {in.config.stream.name, std::to_string(limit)});
        for (int i = 0; i < found.size(); ++i) {
            entry one{std::string{found.text(i, 0)}, {}};
            for (int c = 0; c < 11; ++c) one.cells.emplace_back(found.text(i, c));
            all.push_back(std::move(one));
        }
    }
    std::ranges::stable_sort(all, [](const entry& left, const entry& right) { return left.begun > right.begun; });
    if (all.size() > static_cast<std::size_t>(limit)) all.resize(static_cast<std::size_t>(limit));
    if (in.json()) {
        constexpr std::array names{"begun",   "to", "scope",  "outcome", "epoch", "attempts",
                                   "held_ms", "by", "reason", "forced",  "why"};
        boost::json::array flips;
        for (const auto& each : all) {
            boost::json::object one;
            for (std::size_t c = 0; c < names.size(); ++c) one[names[c]] = each.cells[c];
            flips.push_back(std::move(one));
        }
        in.out << output::pretty({{"flips", flips}});
        return exit_code::fine;
    }
    if (all.empty()) {
        in.out << "no flip was made\n";
        return exit_code::fine;
    }
    output::table table({{"begun"},
                         {"to"},
                         {"scope"},
                         {"outcome"},
                         {"epoch", output::align::right},
                         {"attempts", output::align::right},
                         {"held ms", output::align::right},
                         {"by"},
                         {"reason"},
                         {"forced"},
                         {"why"}});
    for (auto& each : all) table.add(std::move(each.cells));
    in.out << table.render();
    return exit_code::fine;
}

}  // namespace crossfade::ctl::flip
