#include "ctl/catalog/snapshot.hpp"

#include "ctl/catalog/database.hpp"

namespace crossfade::ctl::catalog {

// The catalog is read with the snapshot, the functions' answers are of now.
bool emptied_behind(pgclient::connection& in_snapshot, const model::table_name& table) {
    const auto found =
        ask(in_snapshot, "looking at " + to_string(table),
            "SELECT NOT EXISTS (SELECT FROM pg_class WHERE oid = $1::regclass)"  // dropped, and made anew
            " OR EXISTS (SELECT FROM pg_class WHERE relkind = 'r' AND relfilenode <> pg_relation_filenode(oid)"
            " AND (oid = $1::regclass OR oid IN (SELECT relid FROM pg_partition_tree($1::regclass))))",
            {model::quoted(table)});
    return found.boolean(0, 0);
}

std::vector<stored_column> stored_columns(pgclient::connection& in_snapshot, const model::table_name& table) {
    const auto found =
        ask(in_snapshot, "looking at " + to_string(table),
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = $1::name AND c.relname = $2::name AND a.attnum > 0 AND NOT a.attisdropped"
            " AND a.attgenerated = '' ORDER BY a.attnum",
            {table.schema, table.name});
    std::vector<stored_column> columns;
    for (int i = 0; i < found.size(); ++i)
        columns.push_back({.name = std::string{found.text(i, 0)}, .type = std::string{found.text(i, 1)}});
    return columns;
}

}  // namespace crossfade::ctl::catalog
