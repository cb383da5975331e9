#pragma once

#include <optional>
#include <string>

#include "lib/sql/nodes.hpp"
#include "lib/sql/statement.hpp"

namespace crossfade::sql {

// statement::rows of a statement whose tables, flags and place in the text are known. The text is cut into tokens where
// the statement has no RETURNING; that takes a copy of the statement, so that many in one text cost no more than it has
// bytes.
std::optional<row_write> row_write_of(const PgQuery__Node& node, const statement& known, const std::string& text);

}  // namespace crossfade::sql
