#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

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

// A flag's value as it is written in the file: true, 0.0005, legacy-primary.
std::string text_of(const boost::json::value& value);

}  // namespace crossfade::ctl::flags
