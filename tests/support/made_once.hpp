#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace crossfade::support {

// Where in the build's folder that is which many tests copy and which is dear to make. Whoever comes first has it made,
// whole, at the path that `make` is given; the others wait. Throws what `make` throws.
std::filesystem::path made_once(const std::string& what, const std::function<void(const std::filesystem::path&)>& make);

}  // namespace crossfade::support
