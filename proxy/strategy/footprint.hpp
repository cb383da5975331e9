#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string_view>

#include "lib/sql/understand.hpp"
#include "proxy/strategy/group_sides.hpp"

namespace crossfade::proxy::strategy {

constexpr std::size_t index_of(settings::side which) {
    return which == settings::side::legacy ? 0 : 1;
}

// Which sides' tables a text reads and writes, by the names in it: views, functions, rules and triggers aren't looked
// into. What locks or alters a table counts as writing it.
struct footprint {
    std::array<bool, 2> reads{};                    // by index_of()
    std::array<const sql::table_use*, 2> writes{};  // the first of each side; in what was given to footprint_of()
    bool unknown = false;                           // names no table, and may touch one all the same
    // Nothing but the session and the transaction know of it: if that is undone it can be said again elsewhere, or need
    // not be, if it only reads.
    bool repeatable = true;
    bool ends = false;    // a transaction, somewhere in the text
    bool begins = false;  // one that is open behind it

    bool only_reads() const { return repeatable && (reads[0] || reads[1]) && !writes[0] && !writes[1]; }
};

// What was prepared under the name; null: not known.
using prepared_lookup = std::function<std::shared_ptr<const sql::statement>(std::string_view name)>;

// `known`: null where the text isn't legible or isn't all there.
footprint footprint_of(const sql::understanding* known, const group_sides& sides, const prepared_lookup& prepared);
footprint footprint_of(const sql::statement& it, const group_sides& sides, const prepared_lookup& prepared);

// What that means for a session on a side.
enum class fit {
    indifferent,  // anywhere
    here,         // it is right where it is
    read_there,   // the other side's rows are the newest
    write_there,  // the other side takes it, this one doesn't
    maybe_there,  // by its names nobody knows; what isn't known is at home
    torn,         // it writes on both
};
fit fit_of(const footprint& it, settings::side here, settings::side home);

}  // namespace crossfade::proxy::strategy
