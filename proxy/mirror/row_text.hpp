#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/store/receipts.hpp"

namespace crossfade::proxy::mirror {

// What is put in front of a write's own RETURNING: all of a row as one text, so that neither the client's formats nor
// the columns' types matter, and with it which transaction and table it is of, and the settings by which values were
// made texts and it will commit. `reference`: what the statement calls the table, quoted.
std::string hidden_column(std::string_view reference);

// One row of that column.
struct row_text {
    store::source_xid transaction = 0;
    std::uint32_t table = 0;  // its oid
    bool utf8 = false;
    bool faithful = false;  // by the settings, texts of every type are the values everywhere
    bool zoned = false;     // but for those by another TimeZone than the stream's
    bool escaped = false;   // likewise bytea_output
    bool flushes = false;   // what is committed is on the authority's disk when that is answered
    std::vector<std::optional<std::string>> values;
};
// Nothing where it isn't such a text.
std::optional<row_text> read_row(std::string_view hidden);

}  // namespace crossfade::proxy::mirror
