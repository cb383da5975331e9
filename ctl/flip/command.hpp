#pragma once

#include <chrono>
#include <string>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::flip {

struct options {
    std::string to;  // "legacy", "modern"; empty with `settle`
    // What is to change hands; neither: everything.
    std::string group;
    std::string tenant;
    std::string by;  // whom the history names; empty: the user of the operating system
    std::string reason;
    bool dry_run = false;
    bool force = false;   // what may be overruled is
    bool settle = false;  // only what a flip that died has left
    bool yes = false;     // complete() does it, instead of looking alone
    std::chrono::milliseconds hold_max{500};
    std::chrono::seconds patience{30};
};

// `crossfade flip`. no: refused, or undone, and nothing has changed.
exit_code run(const context& in, const options& with);
// `crossfade flip --complete`: gives the way back up, for good. fine: it is, or may be and --dry-run was said.
exit_code complete(const context& in, const options& with);
// `crossfade flip --history`: the newest first, of both sides.
exit_code list(const context& in, int limit);

}  // namespace crossfade::ctl::flip
