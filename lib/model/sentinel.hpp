#pragma once

#include "lib/model/table_name.hpp"

namespace crossfade::model {

// The table of Crossfade's own whose rows show that a stream's way is open (docs/adr/0030). Both streams carry it, and
// it is nobody's: not the application's to be written, nor the authority's.
inline bool is_sentinel(const table_name& table) {
    return table.schema == "crossfade" && table.name == "sentinel";
}

}  // namespace crossfade::model
