#pragma once

#include <functional>
#include <string>

#include "lib/settings/file_watch.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::program {

// `name` must be a literal: the log keeps it.
struct description {
    std::string_view name;
    std::string purpose;  // one sentence for --help
};

// Runs until it is told to end; throws for what it can't start without. `watch` has seen the file before it was read.
using serve = std::function<void(const std::string& path, settings::file_watch& watch, settings::configuration first)>;

// The command line that crossfade-proxy and crossfade-cdc share: --config FILE, --check-config, --version. Sets up the
// log and calls `run` with the checked configuration. The exit code: 0; 1 when `run` threw; 2 for a bad file or bad
// usage.
int run_command_line(int argc, char** argv, const description& program, const serve& run);

}  // namespace crossfade::program
