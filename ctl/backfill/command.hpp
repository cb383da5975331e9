#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::backfill {

enum class stream_start { keep, anew };

struct options {
    std::vector<std::string> tables;  // patterns; empty: all of the stream's
    unsigned parallel = 2;            // tables at a time, 1..64
    // anew: all tables, after which the stream goes on from the copy's snapshot, whatever was lost before it.
    stream_start start = stream_start::keep;
    std::chrono::seconds slot_timeout{60};
};

// `crossfade backfill`. no: a table failed or it was interrupted; what was not copied stays 'copying', so that nothing
// is applied to half a copy, and running it again mends it.
exit_code run(const context& in, const options& with);

}  // namespace crossfade::ctl::backfill
