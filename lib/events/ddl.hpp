#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/model/change.hpp"
#include "lib/model/table_name.hpp"

// DDL in the stream: a logical message of legacy's event triggers (lib/store/ddl_watch.hpp) in the place of its
// transaction where the command was. Its content is a JSON document, a newline, and the seal, 64 hexadecimal digits:
// sha256(secret || sha256(secret || document)). docs/events.md describes the document.
namespace crossfade::events {

inline constexpr std::string_view ddl_prefix = "crossfade.ddl";
inline constexpr std::string_view ddl_version = "1";

enum class ddl_policy { note, pause, pass };

// What became of a table.
enum class ddl_effect {
    altered,
    partition_altered,  // one of its partitions
    dropped,
    partition_dropped,
    partition_emptied,  // by TRUNCATE, which the stream has of whole tables alone
    column_dropped,     // by CASCADE of something else
    harmless,           // an index, a new partition, a table that isn't in the stream yet: no row is another one
};

struct ddl_table {
    model::table_name name;  // that the stream knows: of a partition its root
    ddl_effect effect = ddl_effect::altered;
    std::string object;  // what the command named, for people; of partition_emptied quoted, as SQL has it
    // Afterwards: name and type as format_type gives it, generated columns left out. Empty for one that is gone.
    std::vector<std::pair<std::string, std::string>> columns;
    // Of partition_emptied: those that are gone, as a condition of the table's columns.
    std::string rows = {};
    // Those of the columns that the command's transaction has made, or altered. Unknown where the function that says it
    // is an older version's.
    std::optional<std::vector<std::string>> fresh = {};
};

struct ddl_notice {
    std::string stream;
    std::string tag;  // "ALTER TABLE"
    std::uint32_t xid = 0;
    ddl_policy policy = ddl_policy::note;
    std::vector<ddl_table> tables;
    bool rewritten = false;  // values of rows were computed anew: they are not in the stream
    bool direct = false;     // a client's own statement, not a function's or DO's
    bool whole = false;      // the statement was not cut
    std::string statement;   // never logged
    std::vector<std::string> search_path;
    std::string role;

    std::string_view document;  // what the seal is about; points into the message
    std::string_view seal;
};

// Empty for one that is not understood: damaged, forged, or newer. Never throws, whatever the bytes.
std::optional<ddl_notice> read_ddl(const model::logical_message& from);
inline bool is_ddl(const model::change_event& event) {
    const auto* message = std::get_if<model::logical_message>(&event.body);
    return message != nullptr && message->prefix == ddl_prefix;
}

}  // namespace crossfade::events
