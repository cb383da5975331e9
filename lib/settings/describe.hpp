#pragma once

#include <boost/json/object.hpp>
#include <iosfwd>
#include <string>

#include "lib/settings/reload.hpp"

// What operators see of the settings; shared by crossfade-proxy, crossfade-cdc and crossfade. No secrets.
namespace crossfade::settings {

// {"epoch": 1, "scopes": [{"group": "", "tenant": "", "authority": "legacy", "flags": {"hybrid_mode_enabled": true,
// …}}]} The flags of a scope are those in force for it, after nesting; "effective_strategy" is what is left of them
// after the master switch.
boost::json::object flags_json(const flag_set& flags, std::uint64_t epoch);
inline boost::json::object flags_json(const in_force& now) {
    return flags_json(now.config.flags, now.epoch);
}

// {"outcome": "applied", "epoch": 2, "changes": […], "problems": […], "restart": […]}: the answer of POST /-/reload.
boost::json::object report_json(const reload_report& report);

// One line for the log: "configuration applied (SIGHUP), epoch 2: flags.canary_percent: 100 -> 50; …".
std::string report_line(std::string_view trigger, const reload_report& report);

// One line a problem, then how many there are.
void print_problems(std::ostream& to, const std::string& path, const refusal& refused);

// --check-config: loads, says "FILE: ok" or all problems, and gives the exit code: 0, or 2 for a bad file.
int check_config(const std::string& path, const environment& env, std::ostream& to);

}  // namespace crossfade::settings
