#include "lib/model/tie.hpp"

#include <algorithm>

namespace crossfade::model {

std::optional<std::string> tied_by(const std::vector<std::string>& identity, const std::vector<tie>& ties) {
    const auto at = std::ranges::find_if(ties, [&](const tie& each) {
        return std::ranges::any_of(identity, [&](const std::string& column) {
            return std::ranges::find(each.columns, column) == each.columns.end();
        });
    });
    return at == ties.end() ? std::nullopt : std::optional{at->name};
}

}  // namespace crossfade::model
