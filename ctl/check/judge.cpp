#include "ctl/check/judge.hpp"

#include "ctl/output/table.hpp"

namespace crossfade::ctl::check {

namespace {

// pgoutput's truncate and publish_via_partition_root need 13.
constexpr int oldest_source = 130000;
constexpr int oldest_target = 130000;

void judge_server(const std::string& side, const catalog::database& of, int oldest, findings& into) {
    if (of.version < oldest) {
        into.fail(side + ".version", "PostgreSQL " + of.version_text,
                  "Crossfade needs PostgreSQL " + std::to_string(oldest / 10000) + " or later on this side");
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
        judge_server("legacy", *of.legacy, oldest_source, found);
        judge_source(of, *of.legacy, found);
        judge_ddl(of, *of.legacy, found);
    } else {
        found.fail("legacy.reachable", of.legacy_problem, "start the database, or correct legacy.dsn");
    }
    if (of.modern) {
        judge_server("modern", *of.modern, oldest_target, found);
        judge_target(of, *of.modern, found);
    } else {
        found.fail("modern.reachable", of.modern_problem, "start the database, or correct modern.dsn");
    }
    if (of.legacy && of.modern) judge_pair(of, *of.legacy, *of.modern, found);
    judge_kafka(of, found);
    return found;
}

}  // namespace crossfade::ctl::check
