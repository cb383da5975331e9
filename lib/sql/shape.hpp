#pragma once

#include <string>
#include <string_view>

namespace crossfade::sql {

// The text with 0 for each digit of its numbers. Texts of one shape differ in the values of numbers alone, have
// everything else at the same places, and are understood alike: sql::understand keeps no number of a SELECT, INSERT,
// UPDATE or DELETE. Of others, of several statements, and of texts with comments, dollar quotes, backslashes, or a
// quote right behind a word, as in E'...', it is the text itself. Valid as long as the text, and until the next call
// with the same `scratch`.
std::string_view shape_of(std::string_view text, std::string& scratch);

}  // namespace crossfade::sql
