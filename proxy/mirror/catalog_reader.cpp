#include "proxy/mirror/catalog_reader.hpp"

#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "lib/store/equality.hpp"
#include "lib/store/ties.hpp"

namespace crossfade::proxy::mirror {
namespace {

// Of legacy's: what their statements do is in their rows alone. A default of a function that isn't PostgreSQL's own may
// write elsewhere. The texts of money and of what names other objects depend on settings that rows don't tell; those of
// the types that are named below, on none but client_encoding and bytea_output, which are read alike. Later
// versions' columns of the publication's catalogs are asked for in a way that older ones understand;
// pg_publication_tables opens each table from PostgreSQL 16 on, and would wait for whoever has one locked. A
// partitioned table is what all of its partitions are; one of these by its own name is the stream's affair. Triggers of
// TRUNCATE alone add to no row.
std::string fit_tables_sql() {
    return "WITH published AS MATERIALIZED (SELECT r.prrelid AS oid FROM pg_publication p"
           " JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname = $1"
           " AND to_jsonb(r) ->> 'prattrs' IS NULL AND to_jsonb(r) ->> 'prqual' IS NULL),"
           " parts AS MATERIALIZED (SELECT * FROM " +
           store::parts_sql("published") + R"sql( AS p)
SELECT c.oid::bigint, n.nspname, c.relname,
       NOT EXISTS (SELECT FROM parts p JOIN pg_constraint f ON f.confrelid = p.part
                    WHERE p.oid = c.oid AND f.contype = 'f' AND f.confupdtype NOT IN ('a', 'r')),
       NOT EXISTS (SELECT FROM parts p JOIN pg_constraint f ON f.confrelid = p.part
                    WHERE p.oid = c.oid AND f.contype = 'f' AND f.confdeltype NOT IN ('a', 'r')),
       NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                      AND NOT (coalesce(e.typtype, t.typtype) = 'e' OR coalesce(e.oid, t.oid) IN
                        ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'oid'::regtype,
                         'text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, '"char"'::regtype, 'name'::regtype, 'uuid'::regtype,
                         'bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'bit'::regtype, 'varbit'::regtype, 'inet'::regtype,
                         'cidr'::regtype, 'macaddr'::regtype, 'macaddr8'::regtype, 'time'::regtype, 'timetz'::regtype)))
  FROM published u
  JOIN pg_class c ON c.oid = u.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname <> 'crossfade' AND NOT c.relispartition
   AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate AND i.indisvalid)
   AND NOT EXISTS (SELECT FROM parts p JOIN pg_class m ON m.oid = p.part
                    WHERE p.oid = c.oid AND (m.relkind NOT IN ('r', 'p') OR m.relpersistence <> 'p' OR m.relreplident <> 'd'
                      OR (m.relkind = 'r' AND m.relhassubclass) OR m.relhasrules OR m.relrowsecurity))
   AND NOT EXISTS (SELECT FROM parts p JOIN pg_trigger t ON t.tgrelid = p.part
                    WHERE p.oid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 28 <> 0
                      AND t.tgname NOT LIKE 'crossfade\_fence%')
   AND NOT EXISTS (SELECT FROM parts p JOIN pg_attrdef d ON d.adrelid = p.part
                     JOIN pg_depend e ON e.classid = 'pg_attrdef'::regclass AND e.objid = d.oid
                    WHERE p.oid = c.oid AND e.refclassid = 'pg_proc'::regclass AND e.refobjid >= 16384)
   AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND t.typnamespace = 'pg_catalog'::regnamespace
                      AND (t.typname = 'money' OR t.typname LIKE 'reg%'))
   AND NOT EXISTS (SELECT FROM pg_class o WHERE o.relname = c.relname AND o.oid <> c.oid
                      AND o.relkind IN ('r', 'p', 'v', 'm', 'f') AND o.relpersistence <> 't')
)sql";
}

// $1: the tables, as "{1,2}".
std::string partitions_sql() {
    return "SELECT p.oid::bigint, c.oid::bigint, n.nspname, c.relname FROM " + store::parts_sql("unnest($1::oid[])") +
           " AS p JOIN pg_class c ON c.oid = p.part JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.part <> p.oid"
           " ORDER BY p.oid, c.oid";
}

// $1: the tables, as "{1,2}". Of the key's columns: by which settings their texts may be others, if not by the type, or
// what it is an array or a domain of, none.
constexpr const char* columns_sql = R"sql(
SELECT a.attrelid::bigint, a.attname, a.attgenerated <> '', coalesce(a.attnum = ANY (i.indkey::int2[]), false),
       CASE WHEN a.attnum = ANY (i.indkey::int2[]) THEN (
         SELECT CASE WHEN coalesce(e.typtype, t.typtype) = 'e' OR coalesce(e.oid, t.oid) IN
                  ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype,
                   'float4'::regtype, 'float8'::regtype, 'oid'::regtype, 'text'::regtype, 'varchar'::regtype,
                   'bpchar'::regtype, '"char"'::regtype, 'name'::regtype, 'uuid'::regtype, 'jsonb'::regtype,
                   'bit'::regtype, 'varbit'::regtype, 'inet'::regtype, 'cidr'::regtype, 'macaddr'::regtype,
                   'macaddr8'::regtype, 'date'::regtype, 'time'::regtype, 'timetz'::regtype, 'timestamp'::regtype,
                   'interval'::regtype, 'int4range'::regtype, 'int8range'::regtype, 'numrange'::regtype,
                   'daterange'::regtype, 'tsrange'::regtype) THEN 'none'
                WHEN coalesce(e.oid, t.oid) = 'bytea'::regtype THEN 'bytea' ELSE 'any' END
           FROM pg_type t
           LEFT JOIN pg_type e ON e.oid = CASE t.typcategory WHEN 'A' THEN t.typelem ELSE t.typbasetype END
          WHERE t.oid = a.atttypid) END
  FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
 WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum
)sql";
// Who is another role from the start reads by the other's rights.
constexpr const char* readers_sql = R"sql(
SELECT t.oid::bigint, r.rolname FROM unnest($1::oid[]) AS t(oid), pg_roles r
 WHERE r.rolcanlogin AND has_table_privilege(r.oid, t.oid, 'SELECT')
   AND NOT EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS one(setting)
                    WHERE s.setrole IN (0, r.oid)
                      AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                      AND lower(split_part(one.setting, '=', 1)) IN ('role', 'session_authorization'))
)sql";

constexpr const char* write_targets_sql = R"sql(
SELECT n.nspname, c.relname, m.nspname, r.relname
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class r ON r.oid = coalesce(pg_partition_root(c.oid), c.oid)
  JOIN pg_namespace m ON m.oid = r.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND NOT c.relhasrules
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid))
)sql";

// Of modern's, those that take rows as they come. A further constraint that ties rows together has some columns left to
// the stream; not where it is checked at the end alone, which is too late to do without. $1: whether triggers are
// asleep but for those that say otherwise; $2: the stream.
std::string followers_sql() {
    constexpr auto tables =
        "(SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace <> 'pg_catalog'::regnamespace)";
    return "WITH tied AS MATERIALIZED (" + store::tied_columns_sql(tables) +
           "), parts AS MATERIALIZED (SELECT * FROM " + store::parts_sql(tables) + R"sql( AS p)
SELECT n.nspname, c.relname, a.attname, a.attgenerated <> '', a.attidentity = 'a',
       coalesce(a.attnum = ANY (i.indkey::int2[]), false), format_type(a.atttypid, -1),
       EXISTS (SELECT FROM tied t WHERE t.oid = c.oid AND t.name = a.attname),
       EXISTS (SELECT FROM tied t WHERE t.oid = c.oid),
       CASE WHEN a.attnum = ANY (i.indkey::int2[]) AND a.atttypid >= 16384 THEN )sql" +
           store::operator_sql("a.atttypid", 3, "=") + R"sql( ELSE '=' END,
       a.attnum = ANY (i.indkey::int2[]) AND NOT )sql" +
           store::one_text_sql("a.atttypid", "a.attcollation") + R"sql(
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary AND i.indimmediate AND i.indisvalid
 WHERE c.relkind IN ('r', 'p') AND NOT c.relhasrules AND NOT row_security_active(c.oid)
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crossfade')
   AND NOT EXISTS (SELECT FROM pg_trigger t JOIN parts p ON p.part = t.tgrelid WHERE p.oid = c.oid AND NOT t.tgisinternal
                      AND t.tgtype & 28 <> 0 AND (t.tgenabled IN ('R', 'A') OR (t.tgenabled = 'O' AND NOT $1::bool)))
   AND NOT EXISTS (SELECT FROM tied t WHERE t.oid = c.oid AND NOT t.early)
   AND NOT EXISTS (SELECT FROM crossfade.tables k WHERE k.stream = $2 AND k.table_name = n.nspname || '.' || c.relname
                      AND k.state <> 'live')
)sql";
}

struct follower_column {
    bool generated = false;
    bool identity_always = false;
    bool key = false;
    std::string type;
    bool tied = false;
    bool of_tied_table = false;
    std::string equals;
    bool one_text = true;
};
using follower_columns = std::map<std::string, follower_column, std::less<>>;

// Whether the follower takes all that the authority's table has, under the same key.
bool match(table_facts& table, const follower_columns& follower) {
    std::size_t keys = 0;
    for (auto& each : table.columns) {
        const auto found = follower.find(each.name);
        if (found == follower.end() || found->second.generated == each.written || found->second.key != each.key)
            return false;
        each.settable = !found->second.identity_always;
        each.tied = found->second.tied;
        each.type = found->second.type;
        each.equals = found->second.equals;
        each.one_text = found->second.one_text;
        table.tied = found->second.of_tied_table;
        keys += each.key ? 1 : 0;
    }
    for (const auto& [name, column] : follower) {
        keys -= column.key ? 1 : 0;
        // What it is made of would change it.
        if (column.tied && column.generated) return false;
    }
    return keys == 0;
}

}  // namespace

pgclient::result<write_targets> read_write_targets(pgclient::connection& legacy) {
    auto rows = legacy.exec(write_targets_sql, {});
    if (!rows) return rows.error();
    write_targets made;
    for (int i = 0; i < rows->size(); ++i)
        made.emplace(model::table_name{std::string{rows->text(i, 0)}, std::string{rows->text(i, 1)}},
                     model::table_name{std::string{rows->text(i, 2)}, std::string{rows->text(i, 3)}});
    return made;
}

pgclient::result<std::vector<table_facts>> read_tables(pgclient::connection& legacy, pgclient::connection& modern,
                                                       const std::string& publication, const std::string& stream,
                                                       bool triggers_sleep) {
    auto fit = legacy.exec(fit_tables_sql(), {publication});
    if (!fit) return fit.error();
    std::vector<table_facts> tables;
    std::unordered_map<std::int64_t, std::size_t> places;
    std::string oids;
    for (int i = 0; i < fit->size(); ++i) {
        const auto oid = fit->integer(i, 0).value_or(0);
        places.emplace(oid, tables.size());
        oids += (oids.empty() ? "{" : ",") + std::to_string(oid);
        auto& table = tables.emplace_back();
        table.oid = static_cast<std::uint32_t>(oid);
        table.name = {std::string{fit->text(i, 1)}, std::string{fit->text(i, 2)}};
        table.updates = fit->boolean(i, 3);
        table.removes = fit->boolean(i, 4);
        table.plain = fit->boolean(i, 5);
    }
    if (tables.empty()) return tables;
    oids += '}';
    auto columns = legacy.exec(columns_sql, {oids});
    if (!columns) return columns.error();
    for (int i = 0; i < columns->size(); ++i) {
        table_facts::column column{std::string{columns->text(i, 1)}};
        column.written = !columns->boolean(i, 2);
        column.key = columns->boolean(i, 3);
        auto& table = tables[places.at(columns->integer(i, 0).value_or(0))];
        table.zoned_key = table.zoned_key || columns->text(i, 4) == "any";
        table.bytes_key = table.bytes_key || columns->text(i, 4) == "any" || columns->text(i, 4) == "bytea";
        table.columns.push_back(std::move(column));
    }
    auto partitions = legacy.exec(partitions_sql(), {oids});
    if (!partitions) return partitions.error();
    for (int i = 0; i < partitions->size(); ++i)
        tables[places.at(partitions->integer(i, 0).value_or(0))].partitions.push_back(
            {static_cast<std::uint32_t>(partitions->integer(i, 1).value_or(0)),
             {std::string{partitions->text(i, 2)}, std::string{partitions->text(i, 3)}}});
    auto readers = legacy.exec(readers_sql, {oids});
    if (!readers) return readers.error();
    for (int i = 0; i < readers->size(); ++i)
        tables[places.at(readers->integer(i, 0).value_or(0))].readers.emplace(readers->text(i, 1));

    auto followers = modern.exec(followers_sql(), {triggers_sleep ? "t" : "f", stream});
    if (!followers) return followers.error();
    std::map<model::table_name, follower_columns> there;
    for (int i = 0; i < followers->size(); ++i) {
        auto& table = there[{std::string{followers->text(i, 0)}, std::string{followers->text(i, 1)}}];
        table.emplace(
            followers->text(i, 2),
            follower_column{followers->boolean(i, 3), followers->boolean(i, 4), followers->boolean(i, 5),
                            std::string{followers->text(i, 6)}, followers->boolean(i, 7), followers->boolean(i, 8),
                            std::string{followers->text(i, 9)}, !followers->boolean(i, 10)});
    }
    std::erase_if(tables, [&](table_facts& each) {
        const auto found = there.find(each.name);
        return found == there.end() || !match(each, found->second);
    });
    return tables;
}

}  // namespace crossfade::proxy::mirror
