#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"

namespace crossfade::handover {

// A sequence that a column of one of the stream's tables draws from (identity, serial, or by its default), or one
// beside these tables that no table owns: what an application, a trigger or a function draws from by its name.
struct sequence {
    std::string column;   // schema.table.column, which it is known by on both sides; empty: none
    std::string name;     // as SQL takes it
    std::string table{};  // the oid of the column's
    std::int64_t increment = 1;
    std::int64_t least = 1;
    std::int64_t greatest = 1;
    std::int64_t cache = 1;
    std::int64_t start = 1;
    bool cycles = false;
    std::optional<std::int64_t> last;  // none was drawn, or it may not be read: null
    bool may_read = true;              // whoever asks
    bool may_set = true;

    bool free() const { return column.empty(); }
};

// Of the tables of a publication, once for each column, as one sequence may serve several and a column may have two
// (its own of old, and the one that its default draws from); and the free ones of these tables' schemas. In order.
std::string sequences_sql();  // $1 the publication
std::vector<sequence> read_sequences(const pgclient::rows& from);

struct sequence_pair {
    sequence drawing;  // of the side that has drawn from it until now
    sequence joining;
};

// Which of one side's sequences are whose of the other's. Those of a column, by their names where it has several: what
// has no namesake there goes with all of the column's. A free one has its namesake, whatever draws from that.
struct matched_sequences {
    std::vector<sequence_pair> pairs;
    std::vector<sequence> alone;  // of those that draw
};
matched_sequences match(const std::vector<sequence>& drawing, const std::vector<sequence>& joining);

// Names of those that two or more of the other side's go with: no half of theirs is left for it.
std::vector<std::string> serving_several(const std::vector<sequence_pair>& pairs);

// What the other side's sequence is to have drawn last, so that it is beyond what either side ever gave out, and beyond
// what sessions of the old one may still draw from their caches. nullopt: nothing was drawn on either side, or it is so
// already. The objection: why it can't be.
struct move {
    std::optional<std::int64_t> to;
    std::string objection;
};
move plan_move(const sequence& from, const sequence& onto);

}  // namespace crossfade::handover
