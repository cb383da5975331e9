#include "proxy/portrait/prepare_text.hpp"

#include <variant>

#include "lib/sql/understand.hpp"

namespace crossfade::proxy::portrait {

std::string prepare_text(std::string_view name, std::string_view sent) {
    // Without a semicolon there is but one statement, however it is quoted.
    if (sent.find(';') == std::string_view::npos) return std::string{sent};
    const auto understood = sql::understand(sent);
    if (!understood) return {};
    std::string_view found;
    for (const auto& statement : *understood) {
        const auto* prepared = std::get_if<sql::effect::prepare>(&statement.effect);
        if (prepared == nullptr || prepared->name != name) continue;
        if (!found.empty()) return {};
        found = sent.substr(statement.offset, statement.length);
    }
    return std::string{found};
}

}  // namespace crossfade::proxy::portrait
