#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/settings/flags.hpp"

namespace crossfade::ctl::flags {

struct flag_difference {
    std::string group;
    std::string tenant;
    std::string flag;
    std::string in_file;  // empty: the scope or flag is not there
    std::string running;
};

// Both are arrays of scopes as settings::flags_json() makes them. Pure; what is malformed counts as absent.
std::vector<flag_difference> compare(const boost::json::array& file, const boost::json::array& running);

// The same with the file's flags as those are in force whom the databases have in charge, where they say it: what a
// flip has moved is no difference.
std::vector<flag_difference> compare(const settings::flag_set& file, const std::optional<settings::assignment>& decided,
                                     const boost::json::array& running);

// A flag's value as it is written in the file: true, 0.0005, legacy-primary.
std::string text_of(const boost::json::value& value);

}  // namespace crossfade::ctl::flags
