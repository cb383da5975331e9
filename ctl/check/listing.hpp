#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "ctl/output/table.hpp"

namespace crossfade::ctl::check {

// "a, b, c and 12 more": a finding names the first few.
inline std::string listing(std::vector<std::string> names, std::size_t most = 5) {
    const std::size_t left = names.size() > most ? names.size() - most : 0;
    names.resize(std::min(names.size(), most));
    std::string text = output::joined(names);
    if (left > 0) text += " and " + std::to_string(left) + " more";
    return text;
}

// One SQL statement a name.
template <class Names, class Make>
std::string statements(const Names& names, Make make) {
    std::vector<std::string> lines;
    lines.reserve(names.size());
    for (const auto& name : names) lines.push_back(make(name));
    return listing(lines, 20);
}

}  // namespace crossfade::ctl::check
