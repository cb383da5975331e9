#pragma once

#include <vector>

#include "lib/settings/flags.hpp"

// Who is to be the authority, as an operator has said by changing the file.
namespace crossfade::settings {

struct file_word {
    flag_scope scope;
    side authority = side::legacy;
    bool changed = false;  // by this version of the file

    friend bool operator==(const file_word&, const file_word&) = default;
};

// What `after` says of every scope that either of the two names; nothing, where it says of all of them what `before`
// said. A scope that keeps its word is no wish: the databases may know better by now.
std::vector<file_word> changed_words(const flag_set& before, const flag_set& after);

// What everybody has once `to` has got what has newly been said to be its own. Nobody else gets anything.
assignment asked_for(const assignment& now, const std::vector<file_word>& words, side to);

}  // namespace crossfade::settings
