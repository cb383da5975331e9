#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/settings/keys.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::settings {

// A configuration as one flat map, so that two can be compared key by key.
struct configured {
    std::string text;
    takes_effect when = takes_effect::at_start;
    shown value = shown::openly;

    friend bool operator==(const configured&, const configured&) = default;
};
using entries = std::map<std::string, configured>;  // "groups.orders.tables" -> …
entries entries_of(const configuration& of);

struct difference {
    std::string key;
    std::string text;  // "flags.canary_percent: 100 -> 50", "legacy.dsn: changed"
    takes_effect when = takes_effect::at_start;
};
std::vector<difference> differences(const configuration& from, const configuration& to);

}  // namespace crossfade::settings
