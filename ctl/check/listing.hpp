#pragma once

#include <string>
#include <vector>

#include "lib/preflight/listing.hpp"

namespace crossfade::ctl::check {

using preflight::listing;

// One SQL statement a name.
template <class Names, class Make>
std::string statements(const Names& names, Make make) {
    std::vector<std::string> lines;
    lines.reserve(names.size());
    for (const auto& name : names) lines.push_back(make(name));
    return listing(lines, 20);
}

}  // namespace crossfade::ctl::check
