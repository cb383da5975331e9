#include "ctl/catalog/ties.hpp"

#include <algorithm>

namespace crossfade::ctl::catalog {

std::vector<tied_table> tied_tables(const std::vector<table>& legacy, const std::vector<table>& modern) {
    std::vector<tied_table> tied;
    for (const auto& each : legacy) {
        if (auto own = tied_by(each.identity_columns, each.ties)) {
            tied.push_back({each.name, std::move(*own), "legacy"});
            continue;
        }
        const auto other = std::ranges::find(modern, each.name, &table::name);
        if (other == modern.end()) continue;
        if (auto others = tied_by(each.identity_columns, other->ties))
            tied.push_back({each.name, std::move(*others), "modern"});
    }
    return tied;
}

std::string to_string(const tied_table& of) {
    return to_string(of.name) + " (" + of.constraint + " on " + of.side + ")";
}

}  // namespace crossfade::ctl::catalog
