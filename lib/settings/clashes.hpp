#pragma once

#include <string>
#include <vector>

#include "lib/settings/settings.hpp"

namespace crossfade::settings {

// Keys of which each is sound, and that don't go together.
struct clash {
    std::string key;  // the one to look at: "stream.ordering"
    std::string found;
    std::string allowed;
};

// Of one file, or of what a reload would leave in force: some of it is then of the file that the program started with.
// Pure.
std::vector<clash> clashes(const configuration& of);

}  // namespace crossfade::settings
