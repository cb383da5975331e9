#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::proxy::console {

// The console's lexical rules are PostgreSQL's (sql-syntax-lexical.html), as far as commands here need them.
struct word {
    enum class kind {
        plain,   // folded to lower case (ASCII alone)
        quoted,  // "…", as it stands inside
        text,    // '…', likewise
        number,  // digits; a sign is a symbol of its own
        symbol,  // any other single character
    };
    kind what = kind::plain;
    std::string text;
    std::size_t position = 1;  // of its first byte, counted from 1

    bool is(std::string_view keyword) const { return what == kind::plain && text == keyword; }
    bool is_symbol(char c) const { return what == kind::symbol && text[0] == c; }
    bool is_name() const { return what == kind::plain || what == kind::quoted; }
};

// Why a text is none of the console's. `position` as in word.
struct syntax_fault {
    std::string message;
    std::size_t position = 1;
};
[[noreturn]] void throw_exception_from_error(const syntax_fault& what, const boost::source_location& where);

// Splits at semicolons, and each statement into words; comments fall away, and so do empty statements. Fails for quotes
// and comments without an end.
boost::system::result<std::vector<std::vector<word>>, syntax_fault> split(std::string_view sql);

// `name` as it has to be typed to come out of split() the same.
std::string quoted_if_needed(std::string_view name);

// Of a text for a message: its beginning.
std::string clipped(std::string_view text);

}  // namespace crossfade::proxy::console
