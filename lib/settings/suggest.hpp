#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace crossfade::settings {

// The candidate that `word` is probably a slip of: at most a third of its letters changed, left out, added or
// swapped with a neighbour (optimal string alignment distance). Empty when none is that near.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

// "a, b, c"
std::string join(const std::vector<std::string_view>& words);

}  // namespace crossfade::settings
