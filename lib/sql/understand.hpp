#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/sql/statement.hpp"

namespace crossfade::sql {

enum class obstacle : std::uint8_t {
    syntax,       // not PostgreSQL 15's; a newer database may still take it
    too_long,     // limits::bytes
    too_complex,  // nested too deep (nesting.hpp), slow to scan (understand.cpp), or more than limits::statements
};
std::string_view to_string(obstacle what);

// To be treated as a write of anything.
struct not_understood {
    obstacle reason;
    std::uint32_t position;  // for `syntax`, in characters from 1, as ErrorResponse's field P; 0 if unknown
};

// One statement for each of a simple query, in order; none for a text of blanks and comments.
using understanding = boost::system::result<std::vector<statement>, not_understood>;

struct limits {
    // A parse takes some 0.3 µs a byte, 2 µs where every other byte is a column; the event loop waits for it.
    std::size_t bytes = std::size_t{32} << 10;
    std::size_t statements = 1000;
};

// How a client's text spells what isn't ASCII.
enum class spelling : std::uint8_t {
    utf8,    // as the file and the proxy's own connections do
    latin1,  // a byte a character, which is Unicode's of that number
    other,
};
// What the session's settings say of how the server reads text. All are the server's defaults.
struct lexing {
    bool standard_conforming_strings = true;
    // False for client encodings in which a byte below 0x80 may be part of a character: SJIS, BIG5, GBK, UHC,
    // GB18030, JOHAB, SHIFT_JIS_2004 (https://www.postgresql.org/docs/15/multibyte.html).
    bool ascii_is_itself = true;
    spelling names = spelling::utf8;
};
// Whether the server reads the text as `understand` does. Where not, strings may end elsewhere than they seem to.
bool legible(std::string_view text, lexing how);

// Never throws for what is in the text. Threads don't share anything, but each that ever calls this costs the process
// one of its 1024 keys for thread-local data (parse_tree.cpp): call it from threads that stay.
// Needs 2 MiB of stack.
understanding understand(std::string_view text, const limits& within = {});

// The same with the names of its tables in UTF-8. Of another spelling than that and LATIN1 they stay as they are, and
// are of nothing that anybody knows.
std::shared_ptr<const understanding> with_names_in_utf8(std::shared_ptr<const understanding> known, spelling now);
std::string name_in_utf8(std::string_view name, spelling now);

}  // namespace crossfade::sql
