#pragma once

#include <string_view>

namespace crossfade::telemetry {

// The project's version as CMakeLists.txt has it: for --version, crossfade_build_info and /api/v1/status.
inline constexpr std::string_view version = CROSSFADE_VERSION;

}  // namespace crossfade::telemetry
