#include "lib/settings/describe.hpp"

#include <boost/json/array.hpp>
#include <ostream>

#include "lib/settings/flag_text.hpp"

namespace crossfade::settings {
namespace {

boost::json::object flags_object(const flags& of) {
    return {{"hybrid_mode_enabled", of.hybrid_mode_enabled},
            {"dual_write_strategy", to_string(of.dual_write_strategy)},
            {"hybrid_read_strategy", to_string(of.hybrid_read_strategy)},
            {"migration_drift_tolerance", of.migration_drift_tolerance},
            {"cutover_completed", of.cutover_completed},
            {"cutover_guardrail_enabled", of.cutover_guardrail_enabled},
            {"canary_percent", of.canary_percent},
            {"on_mirror_failure", to_string(of.on_mirror_failure)}};
}

boost::json::array texts(const std::vector<std::string>& of) {
    boost::json::array all;
    for (const auto& each : of) all.emplace_back(each);
    return all;
}

std::string joined(const std::vector<std::string>& of) {
    std::string text;
    for (const auto& each : of) text += (text.empty() ? "" : "; ") + each;
    return text;
}

}  // namespace

boost::json::object flags_json(const flag_set& flags, std::uint64_t epoch) {
    boost::json::array scopes;
    for (const auto& scope : flags.scopes()) {
        const auto resolved = flags.resolve(scope.group, scope.tenant);
        scopes.push_back(boost::json::object{{"group", scope.group},
                                             {"tenant", scope.tenant},
                                             {"authority", to_string(authority(resolved))},
                                             {"effective_strategy", to_string(effective_strategy(resolved))},
                                             {"flags", flags_object(resolved)}});
    }
    return {{"epoch", epoch}, {"scopes", std::move(scopes)}};
}

boost::json::object report_json(const reload_report& report) {
    return {{"outcome", to_string(report.outcome)},
            {"epoch", report.epoch},
            {"changes", texts(report.changes)},
            {"problems", texts(report.problems)},
            {"restart", texts(report.restart)}};
}

std::string report_line(std::string_view trigger, const reload_report& report) {
    std::string line = "configuration " + std::string(to_string(report.outcome)) + " (" + std::string(trigger) +
                       "), epoch " + std::to_string(report.epoch);
    if (!report.problems.empty()) line += "; problems: " + joined(report.problems);
    if (!report.changes.empty()) line += "; changes: " + joined(report.changes);
    if (!report.restart.empty()) line += "; at the next start: " + joined(report.restart);
    return line;
}

void print_problems(std::ostream& to, const std::string& path, const refusal& refused) {
    for (const auto& each : refused.problems) to << to_string(each) << '\n';
    const auto count = refused.problems.size();
    to << path << ": refused, " << count << (count == 1 ? " problem" : " problems") << '\n';
}

int check_config(const std::string& path, const environment& env, std::ostream& to) {
    const auto read = load(path, env);
    if (read) {
        to << path << ": ok\n";
        return 0;
    }
    print_problems(to, path, read.error());
    return 2;
}

}  // namespace crossfade::settings
