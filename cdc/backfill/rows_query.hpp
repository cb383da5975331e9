#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cdc/apply/target.hpp"
#include "cdc/backfill/source_table.hpp"

namespace crossfade::cdc::backfill {

// Rows of a source's table as they are copied, and their keys, by which rows in their way are found on the follower.
// Values are no part of the texts, which servers log: they are a setting of the source's session.
struct rows_query {
    std::string rows;                  // SELECT of the mapping's columns, in their order
    std::string keys;                  // SELECT of the keys as one JSON array of arrays of text; empty: they have none
    std::vector<std::size_t> columns;  // of the key, in the mapping
    std::string setting;               // its name; empty: none is needed
    std::string value;
};

// Where columns of the source are in the mapping, in the same order; empty where one isn't.
std::vector<std::size_t> places(const apply::table_mapping& mapping, const std::vector<std::size_t>& source);

// The columns of the key by which the table is copied in chunks, as SQL has them; empty where it has to be copied
// whole, as either side has no key that the other has too.
std::string chunk_key(const apply::table_mapping& mapping, const source_table& of);

// The next `limit` rows in the order of the key, after `last_key` (text[]; empty: from the first).
rows_query next_chunk(const apply::table_mapping& mapping, const source_table& of, const std::string& last_key,
                      std::int64_t limit);
rows_query whole_table(const apply::table_mapping& mapping, const source_table& of);
// The rows of these keys of the follower, a JSON array of arrays of text.
rows_query by_keys(const apply::table_mapping& mapping, const source_table& of, std::string keys);

// The key of a row in COPY's text format, as text[].
std::string key_of(const rows_query& what, std::string_view row);

// DELETE of the follower's rows that have one of the keys, which are $1.
std::string remove_sql(const apply::table_mapping& mapping, const rows_query& what);

}  // namespace crossfade::cdc::backfill
