#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "lib/pgclient/connection.hpp"

namespace crossfade::handover {

// A sequence that a column of one of the stream's tables draws from: identity, serial, or by its default.
struct sequence {
    std::string column;   // schema.table.column, which it is known by on both sides
    std::string name;     // as SQL takes it
    std::string table{};  // the oid of the column's
    std::int64_t increment = 1;
    std::int64_t least = 1;
    std::int64_t greatest = 1;
    std::int64_t cache = 1;
    std::int64_t start = 1;
    bool cycles = false;
    std::optional<std::int64_t> last;  // none was drawn: null
};

// Of the tables of a publication, by sequence::column: one sequence may serve several.
std::string sequences_sql();  // $1 the publication
std::map<std::string, sequence> read_sequences(const pgclient::rows& from);

// What the other side's sequence is to have drawn last, so that it is beyond what either side ever gave out, and beyond
// what sessions of the old one may still draw from their caches. nullopt: nothing was drawn on either side, or it is so
// already. The objection: why it can't be.
struct move {
    std::optional<std::int64_t> to;
    std::string objection;
};
move plan_move(const sequence& from, const sequence& onto);

}  // namespace crossfade::handover
