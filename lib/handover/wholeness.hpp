#pragma once

#include <string>
#include <vector>

#include "lib/handover/intent.hpp"

// Whether a follower has what it is to be the authority of, and keeps it. Of each a text for people, in order.
namespace crossfade::handover {

// "public.orders (stale)". $1 the stream that the follower follows.
inline constexpr const char* not_whole_sql =
    "SELECT table_name || ' (' || state || ')' FROM crossfade.tables WHERE stream = $1::text AND state <> 'live'"
    " ORDER BY 1";

// Copies beside the stream that are not done: the next step of one may empty its table, or lay the other side's rows
// over it. "public.orders (asked)". $1 the same, $2 the tables' names.
inline constexpr const char* unfinished_copies_sql =
    "SELECT table_name || ' (' || state || coalesce('; stands still: ' || reason, '') || ')' FROM crossfade.backfills"
    " WHERE stream = $1::text AND state <> 'done' AND table_name = ANY ($2::text[]) ORDER BY 1";

// Of those of which any row changes hands, as an array.
std::string names_of_moving(const intent& what, const settings::flag_set& groups,
                            const std::vector<store::fenced_table>& of);

}  // namespace crossfade::handover
