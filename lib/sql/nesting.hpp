#pragma once

namespace crossfade::sql {

// libpg_query walks and packs its tree by recursion without a look at the stack, and protobuf-c unpacks it likewise:
// together up to 3 KB for each level, so that "1+1+1…" of 20 KB would end the process. Hence a bound on the tree's
// depth, found in front of the parse from what the text can at most nest. 500 levels take 1.5 MB.
inline constexpr unsigned deepest_nesting = 500;

// Whether the text's tree may be deeper than that; never false for one that is.
bool may_nest_too_deep(const char* text);

// What the former looks at where the text is long enough to matter: no path from the tree's root to a leaf is longer.
//
// A level of the tree costs the text a token: an operator, a keyword or a bracket. Tokens add up along a path, but not
// beyond a comma, AND or OR, whose operands lie side by side; except for what is chained to the left across them:
// UNION and the like, JOIN, and BETWEEN with an AND of its own.
unsigned nesting_bound(const char* text);

}  // namespace crossfade::sql
