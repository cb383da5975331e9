#include "ctl/check/judge.hpp"

#include "ctl/output/table.hpp"

namespace crossfade::ctl::check {

namespace {

void judge_server(const std::string& side, const catalog::database& of, findings& into) {
    if (of.version < catalog::oldest_server) {
        into.fail(
            side + ".version", "PostgreSQL " + of.version_text,
            "Crossfade needs PostgreSQL " + std::to_string(catalog::oldest_server / 10000) + " or later on this side");
    } else {
        into.ok(side + ".version", "PostgreSQL " + of.version_text);
    }
    if (of.in_recovery) {
        into.fail(side + ".primary", "a standby (in recovery)", side + ".dsn must name the primary");
    } else {
        into.ok(side + ".primary", "a primary, database " + of.name + " as " + of.role.name);
    }
}

}  // namespace

findings judge(const evidence& of) {
    findings found;
    if (of.legacy) {
        judge_server("legacy", *of.legacy, found);
        judge_source(of, *of.legacy, found);
        judge_parts(*of.legacy, found);
        judge_ddl(of, *of.legacy, found);
    } else {
        found.fail("legacy.reachable", of.legacy_problem, "start the database, or correct legacy.dsn");
    }
    if (of.modern) {
        judge_server("modern", *of.modern, found);
        judge_target(of, *of.modern, found);
    } else {
        found.fail("modern.reachable", of.modern_problem, "start the database, or correct modern.dsn");
    }
    if (of.legacy && of.modern) judge_pair(of, *of.legacy, *of.modern, found);
    judge_kafka(of, found);
    return found;
}

namespace {

// "legacy.slot" of the source is "back.modern.slot".
std::string id_of_back(const std::string& id, const evidence& of) {
    const auto dot = id.find('.');
    const auto side = id.substr(0, dot);
    if (dot == std::string::npos || (side != "legacy" && side != "modern")) return "back." + id;
    return "back." + (side == "legacy" ? of.source : of.follower) + id.substr(dot);
}

// Modern may have tables that legacy has not: they are not in this stream.
void leave_out_new(catalog::database& source, const catalog::database& follower) {
    std::erase_if(source.tables, [&](const auto& each) { return follower.find(each.name) == nullptr; });
}

}  // namespace

void judge_back(evidence of, findings& into) {
    findings found;
    if (of.legacy && of.modern) leave_out_new(*of.legacy, *of.modern);
    if (of.legacy) {
        judge_source(of, *of.legacy, found);
        judge_parts(*of.legacy, found);
        judge_ddl(of, *of.legacy, found);
    }
    if (of.modern) judge_target(of, *of.modern, found);
    if (of.kafka.problem.empty()) judge_kafka(of, found);
    for (auto each : found.all()) {
        if (each.id == "kafka.reachable") continue;
        each.id = id_of_back(each.id, of);
        into.add(std::move(each));
    }
}

}  // namespace crossfade::ctl::check
