#pragma once

#include <ostream>
#include <string>

#include "lib/settings/settings.hpp"

namespace crossfade::ctl {

enum class output_format { table, json };

// What every command is given.
struct context {
    const settings::configuration& config;
    output_format format = output_format::table;
    std::ostream& out;    // the answer
    std::ostream& notes;  // progress and remarks
    // Of what is changed, for the audit log.
    std::string by{};  // empty: the user of the operating system
    std::string reason{};

    bool json() const { return format == output_format::json; }
};

}  // namespace crossfade::ctl
