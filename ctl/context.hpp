#pragma once

#include <ostream>

#include "lib/settings/settings.hpp"

namespace crossfade::ctl {

enum class output_format { table, json };

// What every command is given.
struct context {
    const settings::configuration& config;
    output_format format = output_format::table;
    std::ostream& out;    // the answer
    std::ostream& notes;  // progress and remarks

    bool json() const { return format == output_format::json; }
};

}  // namespace crossfade::ctl
