#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/handover/intent.hpp"
#include "lib/preflight/finding.hpp"

// What a flip makes of rows that differ (docs/operations.md, Flips).
namespace crossfade::handover {

// Of crossfade.drift, by table and tenant; a tenant that nobody knows is "".
struct recorded_drift {
    std::string table;  // as the stream calls it
    std::string tenant;
    std::int64_t suspected = 0;
    std::int64_t confirmed = 0;
};

// Each table that moves is held to its own tolerance, by its own rows: others' would water it down. Of a table whose
// tenants move by themselves theirs count, and those of which nobody knows whose they are. `rows`: about how many a
// table has. Pure.
preflight::finding judge(const std::vector<recorded_drift>& drift, const std::map<std::string, std::int64_t>& rows,
                         const std::vector<store::fenced_table>& tables, const settings::flag_set& flags,
                         const intent& what);

}  // namespace crossfade::handover
