#pragma once

#include <cstdlib>
#include <string>

namespace crossfade::support {

// How long or how often a test shall do its work, where the environment says so. Throws std::invalid_argument for what
// is no number.
inline long configured(const char* variable, long otherwise) {
    const char* given = std::getenv(variable);
    return given == nullptr ? otherwise : std::stol(given);
}

}  // namespace crossfade::support
