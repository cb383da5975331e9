#pragma once

#include <string>

#include "ctl/catalog/facts.hpp"

namespace crossfade::ctl::init {

// As statements take it: what inherits from a plain table is a table by itself.
inline std::string publication_target(const catalog::table& table) {
    return (table.kind == catalog::table_kind::plain ? "ONLY " : "") + model::quoted(table.name);
}

}  // namespace crossfade::ctl::init
