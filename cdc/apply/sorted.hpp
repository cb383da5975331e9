#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cdc/apply/applier.hpp"
#include "cdc/apply/batch_plan.hpp"

namespace crossfade::cdc::apply {

// A batch without what is left out, and why that was.
struct applier::sorted {
    std::deque<model::row_change> halves;  // of changes that are judged as two
    std::vector<placed_event> events;
    std::set<std::shared_ptr<const table_mapping>> mappings;  // by which they are written
    batch_plan plan;
    std::map<std::string, std::uint64_t> applied;
    std::map<std::string, std::uint64_t> skipped;
    std::map<std::string, model::lsn> stale;  // tables of which rows are left out, and since when
    std::set<std::string> copy_anew;          // tables that are being copied, and what was copied is not right any more
    std::string unfinished;                   // a table whose copy was broken off
    std::string overfull;                     // one that waits for DDL, with no room for more
    std::shared_ptr<const table_mapping> tied;  // one whose rows may be in each other's way
    // Where receipts are heeded: of the rows that are written, and of those that a proxy should have written.
    row_marks written;
    row_marks checked;
    row_marks taken_back;  // see batch_judge
};

}  // namespace crossfade::cdc::apply
