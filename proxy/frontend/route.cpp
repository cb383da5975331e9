#include "proxy/frontend/route.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/auth/access.hpp"

namespace crossfade::proxy::frontend {
namespace {

void set_parameter(pgwire::startup_message& of, std::string_view name, const std::string& value) {
    std::erase_if(of.parameters, [name](const auto& parameter) { return parameter.first == name; });
    of.parameters.emplace_back(name, value);
}

}  // namespace

std::string_view database_at(settings::side which, const settings::configuration& config, std::string_view asked_for) {
    return moves(config, asked_for) ? config.database_of(which).dbname : asked_for;
}

std::string_view same_database(const settings::configuration& config, std::string_view asked_for) {
    const auto cut = [](std::string_view name) { return name.substr(0, auth::longest_name); };
    const auto name = cut(asked_for);
    return name == cut(config.legacy.dbname) || name == cut(config.modern.dbname) ? config.legacy.dbname : asked_for;
}

bool moves(const settings::configuration& config, std::string_view asked_for) {
    return same_database(config, asked_for) == config.legacy.dbname;
}

bool wants_replication(const pgwire::startup_message& opening) {
    const auto value = opening.parameter("replication");
    constexpr std::array off{"", "0", "f", "false", "n", "no", "off"};
    return std::ranges::none_of(off, [&](std::string_view each) { return value == each; });
}

route route_to(settings::side authority, const settings::configuration& config, pgwire::startup_message from) {
    const auto named = database_at(authority, config, from.database());
    if (named != from.database()) set_parameter(from, "database", std::string{named});
    return {authority, std::move(from)};
}

}  // namespace crossfade::proxy::frontend
