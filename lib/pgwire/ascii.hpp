#pragma once

#include <string>
#include <string_view>

namespace crossfade::pgwire {

// As PostgreSQL folds words and the names of settings whatever the locale: ASCII's letters alone (pg_ascii_tolower,
// guc_name_compare).
constexpr char lower(char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

inline std::string lower_case(std::string_view text) {
    std::string folded{text};
    for (char& letter : folded) letter = lower(letter);
    return folded;
}

}  // namespace crossfade::pgwire
