#include "ctl/flip/command.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "ctl/catalog/database.hpp"
#include "ctl/flip/gates.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "lib/handover/coordinator.hpp"

namespace crossfade::ctl::flip {
namespace {

using namespace std::chrono_literals;
using settings::side;

// For what the connection broke in the middle of.
constexpr auto settle_patience = 30s;

std::string whom(const options& with) {
    if (!with.by.empty()) return with.by;
    const auto* const user = ::getpwuid(::getuid());
    return user != nullptr ? user->pw_name : std::to_string(::getuid());
}

std::string milliseconds_text(std::chrono::microseconds time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) + " ms";
}

void require_both_ways(const context& in) {
    if (in.config.stream.both_ways) return;
    throw stop(exit_code::usage, "stream.both_ways is false: changes of modern would not come back to legacy",
               "stream.both_ways: true, crossfade init, and a restart of the programs");
}

void print(const context& in, const check::findings& found) {
    output::table table({{"gate"}, {"verdict"}, {"found"}});
    for (const auto& each : found.all())
        table.add({each.id, std::string{to_string(each.outcome)},
                   each.found + (each.mend.empty() ? "" : "; way out: " + each.mend)});
    in.out << table.render() << '\n';
}

boost::json::array gates_json(const check::findings& found) {
    boost::json::array all;
    for (const auto& each : found.all())
        all.push_back(
            {{"gate", each.id}, {"verdict", to_string(each.outcome)}, {"found", each.found}, {"way_out", each.mend}});
    return all;
}

// Throws stop where there is nothing to do about it.
void claim(handover::coordinator& by) {
    if (!by.claim())
        throw stop(exit_code::no, "another flip is under way", "wait for its end; crossfade flip --history");
}

std::string told(handover::leftover what) {
    return what == handover::leftover::finished ? "a flip that was decided is finished"
           : what == handover::leftover::undone ? "a flip that was not decided is undone"
                                                : "nothing was left to settle";
}

// What became of a flip in whose middle a connection broke.
handover::leftover settle(const context& in, const std::function<void(const std::string&)>& say) {
    const auto until = std::chrono::steady_clock::now() + settle_patience;
    for (;;) {
        try {
            handover::coordinator by{in.config, say};
            claim(by);
            return by.settle();
        } catch (const handover::trouble& why) {
            if (std::chrono::steady_clock::now() >= until)
                throw stop(exit_code::unreachable, std::string{"what became of the flip is not known: "} + why.what(),
                           "crossfade flip --settle, as soon as both databases answer");
            say(std::string{why.what()} + "; trying again");
            std::this_thread::sleep_for(1s);
        }
    }
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

exit_code tell(const context& in, const options& with, const check::findings& found, const handover::report& made) {
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
    if (with.settle) {
        const auto made = settle(in, say);
        in.json() ? in.out << output::pretty({{"settled", told(made)}}) : in.out << told(made) << '\n';
        return exit_code::fine;
    }
    const auto to = with.to == "modern" ? side::modern : side::legacy;
    const auto scope = scope_of(in, with);
    try {
        handover::coordinator by{in.config, say};
        claim(by);
        by.settle();
        const auto now = by.newest();
        if (!now) throw stop(exit_code::no, "neither database says who the authority is", "crossfade init");
        const intent what{to, scope, now->authorities};
        if (what.after() == what.before)
            return tell(
                in, with, {},
                {true, with.to + " is the authority of " + to_string(scope) + " already", {}, 0, now->epoch, {}, {}});

        auto legacy = catalog::connect(in.config, side::legacy);
        auto modern = catalog::connect(in.config, side::modern);
        const auto found = look(in.config, what, legacy, modern);
        if (!in.json()) print(in, found);
        const bool guarded = in.config.flags.resolve(scope.group, scope.tenant).cutover_guardrail_enabled;
        const bool refused =
            found.count(check::verdict::fail) > 0 || (found.count(check::verdict::warn) > 0 && guarded && !with.force);
        if (refused || with.dry_run) {
            if (in.json())
                in.out << output::pretty(
                    {{"done", false}, {"to", with.to}, {"refused", refused}, {"gates", gates_json(found)}});
            else
                in.out << (refused ? "refused; nothing has changed\n" : "it may be done\n");
            return refused ? exit_code::no : exit_code::fine;
        }
        handover::order order{to, scope, whom(with), with.reason, {}, with.hold_max, with.patience};
        for (const auto& each : found.all())
            if (each.outcome == check::verdict::warn) order.forced.push_back(each.id);
        return tell(in, with, found, by.flip(order));
    } catch (const handover::trouble& why) {
        say(std::string{why.what()} + "; finding out what became of the flip");
    }
    const auto made = settle(in, say);
    handover::coordinator by{in.config, say};
    const auto now = by.newest();
    const bool done = now && now->authorities.with(scope, to) == now->authorities;
    return tell(in, with, {},
                {done, done ? told(made) : "a connection broke in the middle", {}, 1, now ? now->epoch : 0, {}, {}});
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
