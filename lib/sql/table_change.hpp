#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace crossfade::sql {

// What a text does to one table, as far as its shape and rows are concerned: whether another database that has the same
// rows has them again when it runs the same text. Of names it says what the text says: search_path decides the rest.
struct table_change {
    std::string schema;  // empty where the text has none
    std::string table;   // empty: not one ALTER TABLE
    // Why it is not to be repeated elsewhere as it stands, for people, without literals; empty: it may be.
    std::string obstacle;
    std::vector<std::string> retyped;  // columns that got another type
    std::vector<std::string> added;    // new columns without a default of their own; their type may have one
    bool cosmetic = false;             // the table's rows and columns stay what they were
    // If rows are rewritten, then by their columns' types alone: alike on both sides, whatever columns were before and
    // whatever the session's TimeZone, DateStyle and kin are.
    bool converts = false;
    bool computes = false;  // rows have values that another database computes for itself, rewritten or not
    std::vector<std::string> computes_if_new = {};  // likewise, unless the column was there: ADD COLUMN IF NOT EXISTS
    bool brings_rows = false;                       // a partition comes with rows of its own
};

// Never throws for what is in the text. Call it from threads that stay (understand.hpp). Text of at most 64 KiB; a
// longer one is an obstacle.
table_change read_table_change(std::string_view text);

}  // namespace crossfade::sql
