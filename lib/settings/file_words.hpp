#pragma once

#include <cstdint>
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

// The words of a file that comes while what an older one asks for isn't done: that is asked for still, as the newer one
// has it. `says`: the newer one's, which may not name what the older one took out.
std::vector<file_word> joined(const std::vector<file_word>& undone, std::vector<file_word> newer, const flag_set& says);

// A word of the file that was heeded, by whichever proxy, for all of them.
struct heeded_word {
    flag_scope scope;
    side authority = side::legacy;
    std::uint64_t epoch = 0;  // of the databases, when it was taken up

    friend bool operator==(const heeded_word&, const heeded_word&) = default;
};

// Without those that were heeded since `read_at`, the epoch in which whoever reads the file now had last read it: what
// was decided since is newer than they are. They stay as words that haven't changed.
std::vector<file_word> unheeded(std::vector<file_word> words, const std::vector<heeded_word>& heeded,
                                std::uint64_t read_at);

// What everybody has once `to` has got what has newly been said to be its own. Nobody else gets anything.
assignment asked_for(const assignment& now, const std::vector<file_word>& words, side to);

}  // namespace crossfade::settings
