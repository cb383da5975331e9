#pragma once

#include <string>
#include <string_view>

#include "lib/sql/understand.hpp"

namespace crossfade::sql {

// All that is known of a statement but fingerprint and place, in a line: "write immutable writes returning; orders:w".
// Behind the kind and the volatility of its calls come the flags that are set, behind the first semicolon the tables
// with r(ead), w(ritten), l(ocked), d(efined), and behind the second the effect.
std::string describe(const statement& it);

// Of each statement of the text, with " / " between them; "syntax at 8", "too_long" or "too_complex".
std::string describe(std::string_view text, const limits& within = {});

}  // namespace crossfade::sql
