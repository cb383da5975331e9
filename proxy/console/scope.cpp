#include "proxy/console/scope.hpp"

#include <algorithm>

#include "proxy/console/words.hpp"

namespace crossfade::proxy::console {

std::string to_string(const scope& of) {
    std::string text;
    const auto add = [&text](std::string_view keyword, const std::optional<std::string>& name) {
        if (!name) return;
        if (!text.empty()) text.push_back(' ');
        text.append(keyword).append(" ").append(quoted_if_needed(*name));
    };
    add("GROUP", of.group);
    add("TENANT", of.tenant);
    add("DATABASE", of.database);
    return text;
}

bool covers(const scope& held, const held_party& party) {
    if (held.database && *held.database != party.database) return false;
    if (held.tenant && *held.tenant != party.tenant) return false;
    if (!held.group || !party.groups) return true;
    return std::find(party.groups->begin(), party.groups->end(), *held.group) != party.groups->end();
}

}  // namespace crossfade::proxy::console
