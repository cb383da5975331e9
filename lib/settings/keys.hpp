#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace crossfade::settings {

enum class takes_effect { on_reload, at_start };
enum class shown { openly, never };  // never: its value is a secret, in messages and diffs alike

// One key of the configuration file. A part of the name in angle brackets stands for a name that the operator chooses.
struct key {
    std::string_view name;
    takes_effect when = takes_effect::at_start;
    shown value = shown::openly;
};

// Every key there is: what a file may contain, what a reload takes, and what docs/configuration.md has to explain.
std::span<const key> keys();

// What may stand directly below `pattern` ("" for the top): {"listen", "admin", …} for "proxy".
std::vector<std::string_view> keys_below(std::string_view pattern);

// The key with this name, as "groups.<group>.tables"; null when there is none.
const key* find_key(std::string_view pattern);

}  // namespace crossfade::settings
