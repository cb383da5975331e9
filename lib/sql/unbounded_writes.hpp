#pragma once

#include <string>

#include "lib/sql/nodes.hpp"

namespace crossfade::sql {

// Whether an INSERT, UPDATE or DELETE plainly may write any number of rows: no column has to be equal to anything, or
// what is inserted is read without that, and without a LIMIT. By the text alone, so it errs in either direction: an
// equality may be of a million rows, and a table without one have three. Numbers count by how many digits they have,
// as texts of one shape are understood alike (shape.hpp).
bool is_unbounded_write(const PgQuery__Node& statement, const std::string& text);

}  // namespace crossfade::sql
