#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "lib/settings/settings.hpp"

namespace crossfade::ctl::status {

// What a running program says of itself at GET /api/v1/status.
struct program_answer {
    std::optional<boost::json::object> answer;
    std::string problem;  // why there is none
};

// Bounded to three seconds.
program_answer ask_program(const settings::endpoint& admin);

}  // namespace crossfade::ctl::status
