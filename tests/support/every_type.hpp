#pragma once

#include <string>
#include <vector>

namespace crossfade::support {

struct typed {
    std::string type;
    std::string value;  // as PostgreSQL writes it (datestyle ISO, intervalstyle postgres, UTC, extra_float_digits 3)
};

// A value of each type that rows may have, and the corners of those that have cost others data.
const std::vector<typed>& every_type();

// What makes the types of the list that are an application's own, and its extensions' (Debian's postgresql-15 and npm's
// 18 have both).
extern const std::string own_types;

// CREATE TABLE with a column for each: id, c0, c1, ...
std::string wide_table(const std::string& name, const std::string& id);

}  // namespace crossfade::support
