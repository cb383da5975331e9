#pragma once

#include <optional>
#include <string>
#include <vector>

namespace crossfade::model {

// A constraint that a row breaks because of another one's values: a unique index, or an exclusion constraint.
struct tie {
    std::string name;
    // Those in which two rows have to have the same text to be in each other's way; an empty name for an expression,
    // and for a column that is compared otherwise, or whose equal values may be written differently.
    std::vector<std::string> columns;
};

// The first of them that ties rows of different replica identities: one that has not all of the identity's columns. A
// stream that is ordered by key may have such rows in several partitions. Empty where the identity has no columns: then
// the table is in one partition as a whole.
std::optional<std::string> tied_by(const std::vector<std::string>& identity, const std::vector<tie>& ties);

}  // namespace crossfade::model
