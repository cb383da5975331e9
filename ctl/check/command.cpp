#include "ctl/check/command.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/check/judge.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "lib/settings/directions.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::ctl::check {

namespace {

void gather(const settings::configuration& config, settings::side side, std::optional<catalog::database>& into,
            std::string& problem) {
    try {
        auto connection = catalog::connect(config, side);
        into = catalog::read_database(connection, config.stream);
    } catch (const stop& why) {
        problem = why.what();
    }
}

// What a copy of a database's files doesn't share with it, not even a standby: locks.
bool are_one_server(const settings::configuration& config) {
    auto legacy = catalog::connect(config, settings::side::legacy);
    auto modern = catalog::connect(config, settings::side::modern);
    std::random_device drawn;
    const auto key = std::to_string(std::uniform_int_distribution<std::int64_t>{}(drawn));
    catalog::ask(legacy, "locking on legacy", "SELECT pg_advisory_lock_shared($1::bigint)", {key});
    return !catalog::ask(modern, "locking on modern", "SELECT pg_try_advisory_lock($1::bigint)", {key}).boolean(0, 0);
}

void gather_settings(const settings::configuration& config, evidence& into) {
    auto legacy = catalog::connect(config, settings::side::legacy);
    auto modern = catalog::connect(config, settings::side::modern);
    into.unknown_settings = handover::unknown_settings(legacy, modern);
}

void print_json(const findings& found, exit_code code, std::ostream& out) {
    boost::json::array checks;
    for (const auto& each : found.all())
        checks.push_back({{"id", each.id},
                          {"verdict", each.outcome == verdict::fail ? "fail" : to_string(each.outcome)},
                          {"found", each.found},
                          {"mend", each.mend}});
    out << output::pretty({{"ready", code == exit_code::fine},
                           {"ok", found.count(verdict::ok)},
                           {"warnings", found.count(verdict::warn)},
                           {"failures", found.count(verdict::fail)},
                           {"checks", checks}});
}

void print_table(const findings& found, exit_code code, std::ostream& out) {
    output::table table({{"verdict"}, {"check"}, {"found"}});
    for (const auto& each : found.all()) table.add({std::string{to_string(each.outcome)}, each.id, each.found});
    out << table.render();

    bool first = true;
    for (const auto& each : found.all()) {
        if (each.mend.empty()) continue;
        out << (first ? "\nTo mend\n" : "") << "  " << each.id << ": " << each.mend << '\n';
        first = false;
    }
    out << '\n'
        << (code == exit_code::fine ? "ready: " : "not ready: ") << found.count(verdict::ok) << " ok, "
        << found.count(verdict::warn) << " to look at, " << found.count(verdict::fail) << " failed\n";
}

evidence evidence_of_back(const settings::configuration& config, const evidence& of) {
    const auto turned = settings::turned(config);
    evidence back;
    back.stream = turned.stream;
    back.flags = turned.flags;
    back.source = turned.source_name();
    back.follower = turned.follower_name();
    back.begin_anew = settings::begin_back_anew(turned);
    // Who doesn't answer has been said.
    if (of.legacy && of.modern) {
        gather(turned, settings::side::legacy, back.legacy, back.legacy_problem);
        gather(turned, settings::side::modern, back.modern, back.modern_problem);
    }
    back.kafka = kafka::read_facts(turned);
    return back;
}

}  // namespace

exit_code run(const context& in) {
    evidence of;
    of.stream = in.config.stream;
    of.flags = in.config.flags;
    gather(in.config, settings::side::legacy, of.legacy, of.legacy_problem);
    gather(in.config, settings::side::modern, of.modern, of.modern_problem);
    if (of.legacy && of.modern && look_alike(*of.legacy, *of.modern)) of.one_server = are_one_server(in.config);
    if (of.legacy && of.modern) gather_settings(in.config, of);
    of.kafka = kafka::read_facts(in.config);

    auto found = judge(of);
    if (in.config.stream.both_ways) judge_back(evidence_of_back(in.config, of), found);
    const bool unreachable = std::ranges::any_of(found.all(), [](const finding& each) {
        return each.outcome == verdict::fail && each.id.ends_with(".reachable");
    });
    const auto code = unreachable                      ? exit_code::unreachable
                      : found.count(verdict::fail) > 0 ? exit_code::no
                                                       : exit_code::fine;
    in.json() ? print_json(found, code, in.out) : print_table(found, code, in.out);
    return code;
}

}  // namespace crossfade::ctl::check
