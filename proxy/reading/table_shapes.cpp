#include "proxy/reading/table_shapes.hpp"

namespace crossfade::proxy::reading {
namespace {

// Types by their names, as those of one's own have other OIDs on each server; in UTF8, whatever the databases are in,
// where that can be had. What is generated from the row may be stored on one side and virtual on the other.
constexpr const char* shapes = R"sql(
SELECT s.name, CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN md5(s.columns)
                    ELSE md5(convert_to(s.columns, 'UTF8')) END, s.inherited
FROM (SELECT n.nspname || '.' || c.relname AS name,
             string_agg(ROW(a.attname, format_type(a.atttypid, a.atttypmod),
                            CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END)::text,
                        ',' ORDER BY a.attnum) AS columns,
             c.relhassubclass AND EXISTS (SELECT FROM pg_inherits AS i JOIN pg_class AS h ON h.oid = i.inhrelid
                                          WHERE i.inhparent = c.oid AND NOT h.relispartition) AS inherited
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
           LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crossfade')
        AND n.nspname !~ '^pg_(toast|temp)'
      GROUP BY n.nspname, c.relname, c.oid, c.relhassubclass) AS s)sql";

}  // namespace

pgclient::result<table_shapes> load_shapes(pgclient::connection& db) {
    auto rows = db.exec(shapes);
    if (!rows) return rows.error();
    table_shapes made;
    for (int row = 0; row < rows->size(); ++row)
        made.emplace(rows->text(row, 0), table_shape{std::string{rows->text(row, 1)}, rows->boolean(row, 2)});
    return made;
}

}  // namespace crossfade::proxy::reading
