#include "ctl/backfill/display.hpp"

#include <algorithm>
#include <cmath>

#include "ctl/output/table.hpp"

namespace crossfade::ctl::backfill {

double share_done(const totals& of) {
    if (of.tables_done == of.tables) return 1;
    double share = 0;
    if (of.expected_rows > 0) {
        share = static_cast<double>(of.rows) / static_cast<double>(of.expected_rows);
    } else if (of.expected_bytes > 0) {
        share = static_cast<double>(of.bytes) / static_cast<double>(of.expected_bytes);
    }
    return std::clamp(share, 0.0, 0.99);
}

std::string progress_line(const totals& of) {
    const double share = share_done(of);
    const double rate = of.seconds > 0 ? static_cast<double>(of.bytes) / of.seconds : 0;
    std::string line = std::to_string(of.tables_done) + '/' + std::to_string(of.tables) + " tables  " +
                       output::count_text(static_cast<std::uint64_t>(of.rows)) + " rows  " +
                       output::bytes_text(static_cast<std::uint64_t>(of.bytes)) + "  " +
                       output::bytes_text(static_cast<std::uint64_t>(rate)) + "/s  " +
                       std::to_string(std::lround(share * 100)) + '%';
    if (share > 0.01 && share < 1)
        line += "  about " + output::seconds_text(of.seconds * (1 - share) / share) + " left";
    return line;
}

}  // namespace crossfade::ctl::backfill
