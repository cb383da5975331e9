#pragma once

#include <cstdint>
#include <string>

namespace crossfade::ctl::backfill {

struct totals {
    std::int64_t rows = 0;
    std::int64_t bytes = 0;
    std::int64_t expected_rows = 0;   // as ANALYZE saw them; 0 when never analysed
    std::int64_t expected_bytes = 0;  // size on disk
    std::size_t tables_done = 0;
    std::size_t tables = 0;
    double seconds = 0;
};

// Between 0 and 1: by rows where the planner's estimate is there, else by bytes. Never 1 before all tables are done.
double share_done(const totals& of);

// "3/5 tables  1,234,567 rows  56.1 MB  12.3 MB/s  61%  about 40 s left"
std::string progress_line(const totals& of);

}  // namespace crossfade::ctl::backfill
