#pragma once

#include <optional>
#include <string_view>

#include "lib/sql/statement.hpp"

namespace crossfade::proxy::strategy {

// The table that a text writes first, by its beginning alone: of INSERT INTO, UPDATE and DELETE FROM, whose texts may
// be too long to be understood. Nothing where it begins otherwise, or the name isn't all there. The text's encoding is
// one in which ASCII is itself.
std::optional<sql::table_use> written_first(std::string_view beginning);

}  // namespace crossfade::proxy::strategy
