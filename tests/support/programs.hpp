#pragma once

#include <filesystem>
#include <string>

namespace crossfade::support {

// A program of this build: "crossfade-proxy", "crossfade-cdc", "crossfade". Of another one where CROSSFADE_BIN_DIR says
// so.
std::filesystem::path program_path(const std::string& name);

// The project's root.
std::filesystem::path source_root();

}  // namespace crossfade::support
