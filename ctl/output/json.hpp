#pragma once

#include <boost/json.hpp>
#include <string>

namespace crossfade::ctl::output {

// Indented by two, fields in the order in which they were put, a newline at the end.
std::string pretty(const boost::json::value& value);

template <class Range>
boost::json::array strings(const Range& range) {
    boost::json::array made;
    for (const auto& each : range) made.emplace_back(each);
    return made;
}

}  // namespace crossfade::ctl::output
