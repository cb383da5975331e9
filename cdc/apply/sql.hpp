#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cdc/apply/batch_plan.hpp"
#include "cdc/apply/target.hpp"

namespace crossfade::cdc::apply {

using sql_parameter = std::optional<std::string>;

// A statement that is prepared once for each text. Parameters are in text form.
struct statement {
    std::string sql;
    std::vector<sql_parameter> parameters;
    // Rows it has to touch; any other number shows that the follower differs from what the source had.
    std::optional<std::int64_t> expected;
    // COPY ... FROM STDIN, with its data as the one parameter; not prepared.
    bool copy = false;
    // Writes nothing: its rows are the marks of rows that the follower has not as it should.
    bool checks = false;
};

// How rows that someone else wrote are told, where the follower keeps commit timestamps.
struct origin_check {
    std::string own_origins;  // "{1,2}": oids of Crossfade's origins
    std::string since;        // timestamptz: what was written before belongs to the first copy
};

struct sql_limits {
    std::size_t rows = 500;  // 500 rows a statement was fastest when measured
    std::size_t bytes = std::size_t{8} << 20;
    std::size_t copied = 100;  // new rows of one table from which on they are copied: half as dear, but a round trip
};

// The whole segment as statements of many rows: truncate, then for each table deletes, updates, inserts or copies. With
// the checks that the old row is the source's (where the event says) and was written by Crossfade (where `origins` is
// set). Rows that a proxy has written are looked at alone.
// `stream`: of crossfade.refetch's rows.
std::vector<statement> many(const segment& of, const std::optional<origin_check>& origins, const sql_limits& limits,
                            const std::string& stream = {});

// "COPY t (columns) FROM STDIN", of the mapping's columns in their order.
std::string copy_into(const table_mapping& mapping);

// One row at a time. Values of the row itself are parameters; none is in the text.
statement insert_one(const table_mapping& mapping, const model::row& after);
// The row with the key of `change` before it; without a key, one row with the content of `change.before`.
statement update_one(const table_mapping& mapping, const model::row_change& change);
statement remove_one(const table_mapping& mapping, const model::row_change& change);
// Sets every known column of the row with this key: for a row that is there and should not be.
statement overwrite_one(const table_mapping& mapping, const model::row& after);
// The row that update_one or overwrite_one finds but for a column that is GENERATED ALWAYS AS IDENTITY and takes no
// value in an UPDATE: takes it away and writes it anew. Not where that would fire triggers and foreign keys, which act
// on rows that go. Empty: the table has no such column.
std::optional<statement> write_anew(const table_mapping& mapping, const model::row_change& change);
// Its tied columns, where the row is there and has other values in them. Empty: there is nothing to write.
std::optional<statement> tie_one(const table_mapping& mapping, const model::row_change& change);
statement truncate(const segment& of);
// The same of tables that others refer to, which TRUNCATE refuses whoever asks for it (SQLSTATE 0A000). Under
// session_replication_role = replica no foreign key minds. Sequences stay where they are. `stream`: but for the rows
// that proxies have written in transactions that it is yet to come by, where they tie no others (docs/adr/0033).
std::vector<statement> empty(const segment& of, const std::string& stream = {});

// A change of a table that is being copied beside the stream (not strictness::exact), of a mapping with a key. A row
// that moves to another key, and of which a part alone is known, is noted in crossfade.refetch: whose the rest is
// depends on how far the copy was. While settling it is so only if the row before is noted there.
std::vector<statement> copy_over_one(const table_mapping& mapping, const model::row_change& change, strictness how,
                                     const std::string& stream);
// Notes the row before the change, or after it.
enum class row_side { before, after };
statement fetch_later(const table_mapping& mapping, const model::row_change& change, row_side which,
                      const std::string& stream);

// What the follower holds under the change's key: one row of
//   digest text, differs text[] (columns that are not as `known` has them, empty array: none), foreign bool.
// `known`: the row as the source says it is on the follower, or null when it doesn't say; then differs is null.
statement probe_one(const table_mapping& mapping, const model::row_change& change, const model::row* known,
                    const std::optional<origin_check>& origins);

// md5 of a row's text; the same for a source's row as for a follower's row that has the same text in each mapped
// column.
statement digest_of(const table_mapping& mapping, const model::row& row);

}  // namespace crossfade::cdc::apply
