// What a client is told of a statement that can't be carried out where its transaction is.
#include "lib/settings/turned.hpp"
#include "proxy/frontend/usher.hpp"

namespace crossfade::proxy::frontend {
namespace {

using strategy::fit;

// Whatever the server takes for the end of a string.
std::string literal(std::string_view text) {
    std::string made = "'";
    for (const char letter : text) {
        if (letter == '\\' || letter == '\0' || letter == '$') continue;
        if (letter == '\'') made += '\'';
        made += letter;
    }
    return made + '\'';
}

std::string error(std::string_view message, std::string_view detail, std::string_view hint) {
    return "DO $crossfade$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XF008', MESSAGE = " + literal(message) +
           ", DETAIL = " + literal(detail) + ", HINT = " + literal(hint) + "; END $crossfade$";
}

std::string name_of(const sql::table_use& table) {
    return table.schema.empty() ? table.name : table.schema + '.' + table.name;
}

}  // namespace

// Raised by the server, so that its transaction has failed as its client believes.
std::string usher::raising(const message& it, fit how, const circumstances& now) const {
    const auto said_of = [&](const sql::table_use& table) {
        const auto place = sides_->of(table.schema, table.name).value_or(strategy::group_sides::place{sides_->home()});
        const auto group =
            place.group.empty() ? std::string{" (in no group)"} : " (group " + std::string{place.group} + ')';
        return "table " + name_of(table) + group + " is written on " + std::string{settings::to_string(place.at)};
    };
    constexpr std::string_view hint =
        "A transaction writes tables of one authority. \"crossfade status\" tells which groups have another one, and "
        "\"crossfade flip\" brings them together.";
    const auto& there = *it.needs.writes[strategy::index_of(settings::other(now.here))];
    if (how == fit::torn) {
        const auto& here = *it.needs.writes[strategy::index_of(now.here)];
        return error("tables of two authorities can't be written at once", said_of(here) + ", " + said_of(there), hint);
    }
    const auto what = said_of(there) + ", and this " + (stays_.empty() ? "transaction" : "session") + " is on " +
                      std::string{settings::to_string(now.here)};
    if (stays_.empty()) return error(what, "What the transaction did before belongs there.", hint);
    return error(what, "The session can't go over: " + stays_,
                 "End what keeps it back, or use another session for these tables.");
}

}  // namespace crossfade::proxy::frontend
