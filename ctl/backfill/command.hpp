#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::backfill {

enum class stream_start { keep, anew };
enum class manner {
    hold,   // as of one snapshot, side by side, while nothing is applied
    live,   // by crossfade-cdc, chunk by chunk, while the stream goes on
    pause,  // what is copied live stands still
};
enum class copied_tables { leave, again };
enum class watching { yes, no };

struct options {
    std::vector<std::string> tables;  // patterns; empty: all of the stream's
    unsigned parallel = 2;            // tables at a time, 1..64
    // anew: all tables, after which the stream goes on from the copy's snapshot, whatever was lost before it.
    stream_start start = stream_start::keep;
    std::chrono::seconds slot_timeout{60};

    manner how = manner::hold;
    // Of live alone.
    copied_tables again = copied_tables::leave;
    watching watch = watching::yes;
    std::chrono::milliseconds max_lag{5000};  // of the stream; beyond it no chunk is copied
    std::int64_t max_rate = 0;                // bytes a second; 0: as fast as it goes
};

// `crossfade backfill`. Of hold, no: a table failed or it was interrupted; what was not copied stays 'copying', so that
// nothing is applied to half a copy, and running it again mends it.
exit_code run(const context& in, const options& with);

}  // namespace crossfade::ctl::backfill
