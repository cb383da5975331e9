#pragma once

#include <string>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::drift {

struct options {
    std::string table;  // a pattern; empty: all
    std::string kind;
    std::string state;
    int limit = 100;  // 1..100000
};

// `crossfade drift list`: the newest records of modern's crossfade.drift. fine whatever is found; no without the
// schema.
exit_code list(const context& in, const options& with);

}  // namespace crossfade::ctl::drift
