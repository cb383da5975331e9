#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "lib/settings/flags.hpp"

// Flags by the names that operators know them by, for files, the environment, diffs and JSON.
namespace crossfade::settings {

inline constexpr std::array<std::string_view, 8> flag_names{
    "hybrid_mode_enabled", "dual_write_strategy",       "hybrid_read_strategy", "migration_drift_tolerance",
    "cutover_completed",   "cutover_guardrail_enabled", "canary_percent",       "on_mirror_failure"};

// Sets the flag from its text. When the text won't do, nothing is set and the answer says what is allowed. `name` is
// one of flag_names.
std::optional<std::string> set_flag(flag_overrides& in, std::string_view name, std::string_view text);

// The flag's text, as a file would have it; nullopt for one that the scope leaves to the scope around it.
std::optional<std::string> flag_text(const flag_overrides& of, std::string_view name);

// All of them said.
flag_overrides as_overrides(const flags& of);

}  // namespace crossfade::settings
