#pragma once

#include <vector>

#include "lib/settings/flags.hpp"
#include "lib/store/fence.hpp"

namespace crossfade::handover {

// What is to change hands, all of it to one side.
struct intent {
    settings::side to = settings::side::modern;
    settings::assignment before;
    settings::assignment after;
};

// Whether any row of the table changes hands; `groups`: as the file has them.
inline bool moves(const intent& what, const settings::flag_set& groups, const store::fenced_table& table) {
    return store::fence_of(what.before, what.to, groups, table) != store::fence_of(what.after, what.to, groups, table);
}

// Whether its rows are at home on both sides then.
inline bool divides(const intent& what, const settings::flag_set& groups, const store::fenced_table& table) {
    return store::fence_of(what.after, what.to, groups, table).divides();
}

// Every scope that changes hands, of those for which flags may differ: each group, each tenant and each group's share
// of one that the file or the databases name.
std::vector<settings::flag_scope> scopes_that_move(const intent& what, const settings::flag_set& flags);

}  // namespace crossfade::handover
