#pragma once

#include <string>

#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::follow {

// The first column's values, for a sentence.
inline std::string list_of(const pgclient::rows& of) {
    std::string list;
    for (int i = 0; i < of.size(); ++i) list += (i == 0 ? "" : ", ") + std::string{of.text(i, 0)};
    return list;
}

}  // namespace crossfade::cdc::follow
