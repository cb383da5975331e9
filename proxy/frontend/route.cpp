#include "proxy/frontend/route.hpp"

#include <utility>

namespace crossfade::proxy::frontend {
namespace {

void set_parameter(pgwire::startup_message& of, std::string_view name, const std::string& value) {
    std::erase_if(of.parameters, [name](const auto& parameter) { return parameter.first == name; });
    of.parameters.emplace_back(name, value);
}

}  // namespace

route route_to(settings::side authority, const settings::configuration& config, pgwire::startup_message from) {
    if (authority == settings::side::legacy) return {authority, std::move(from)};
    if (config.modern.dbname != config.legacy.dbname && from.database() == config.legacy.dbname)
        set_parameter(from, "database", config.modern.dbname);
    return {authority, std::move(from)};
}

}  // namespace crossfade::proxy::frontend
