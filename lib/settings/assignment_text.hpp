#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lib/settings/flags.hpp"

// Scopes and authorities as the databases keep them, in JSON.
namespace crossfade::settings {

// [{"group":"orders","tenant":"","authority":"modern"}], in a fixed order.
std::string apart_text(const std::map<flag_scope, side>& apart);
// nullopt: that is no such text.
std::optional<std::map<flag_scope, side>> parse_apart(std::string_view text);

// {"authority":"legacy","apart":[...]}, for people.
std::string assignment_json(const assignment& of);

// {"group":"orders","tenant":""}
std::string scope_json(const flag_scope& scope);
std::optional<flag_scope> parse_scope(std::string_view text);

}  // namespace crossfade::settings
