#pragma once

#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::audit {

struct listing {
    std::string action;  // empty: any
    std::string since;   // a time as PostgreSQL reads it, "2026-11-21 18:00", "yesterday"; empty: from the first on
    int limit = 100;
};

// `crossfade audit log`: both sides' entries of the stream and of the one that goes back, the newest first.
// exit_code::unreachable when a side did not answer, and so may be missing.
exit_code log(const context& in, const listing& which);

// `crossfade audit verify`: whether each side's chain is whole. exit_code::no when one isn't, or when one of
// `expected`, hashes in hex as an earlier call has given them, is in neither.
exit_code verify(const context& in, const std::vector<std::string>& expected);

}  // namespace crossfade::ctl::audit
