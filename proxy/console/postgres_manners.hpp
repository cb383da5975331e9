#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/console/command.hpp"
#include "proxy/console/table.hpp"

namespace crossfade::proxy::console {

// Who is on the other side of a console, and what it is told of ours.
struct party {
    std::string user;
    std::string database;
    std::string application_name;
    std::string version;  // of Crossfade
    std::uint32_t pid = 0;
};

// "15.0 (Crossfade 0.1.0)": drivers read a PostgreSQL's version off it, and decide by it what they may send.
std::string server_version(const party& of);

// What a PostgreSQL reports at the start: name and value, in its order.
std::vector<std::pair<std::string_view, std::string>> reported_parameters(const party& of);

// The value of a setting that drivers ask for by SHOW; nothing for others. `name` in lower case.
std::optional<std::string> parameter_value(std::string_view name, const party& of);

// SELECT 1, SELECT version() and their like. The columns' names are those in `what`.
std::vector<column> columns_of(const commands::select& what);
row answer_to(const commands::select& what, const party& of);

}  // namespace crossfade::proxy::console
