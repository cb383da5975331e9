#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace crossfade::preflight {

// "a, b, c and 12 more": a finding names the first few.
inline std::string listing(const std::vector<std::string>& names, std::size_t most = 5) {
    const auto shown = std::min(names.size(), most);
    std::string text;
    for (std::size_t each = 0; each < shown; ++each) text += (each > 0 ? ", " : "") + names[each];
    if (names.size() > shown) text += " and " + std::to_string(names.size() - shown) + " more";
    return text;
}

}  // namespace crossfade::preflight
