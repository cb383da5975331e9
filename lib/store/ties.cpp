#include "lib/store/ties.hpp"

namespace crossfade::store {

namespace {

// An index that isn't valid is heeded all the same, once it is ready. The operators of an exclusion constraint may be
// any; btree and hash say which of them are equality. Types of the list are written in one way only: what is equal has
// the same text, and so the same partition. Others (numeric without a scale, float with its two zeros, interval,
// citext, collations that aren't deterministic) may be written in several.
constexpr const char* ties_sql = R"(
SELECT t.oid::int8, i.indexrelid, c.relname,
       CASE WHEN i.indisexclusion AND NOT EXISTS
                   (SELECT FROM pg_constraint x JOIN pg_amop o ON o.amopopr = x.conexclop[k.n]
                    JOIN pg_am m ON m.oid = o.amopmethod
                    WHERE x.conindid = i.indexrelid AND x.contype IN ('p', 'u', 'x')
                      AND (m.amname, o.amopstrategy) IN (('btree', 3), ('hash', 1)))
            THEN ''
            WHEN NOT (b.oid IN ('bool'::regtype, '"char"'::regtype, 'name'::regtype, 'int2'::regtype, 'int4'::regtype,
                                'int8'::regtype, 'oid'::regtype, 'text'::regtype, 'varchar'::regtype, 'bytea'::regtype,
                                'bit'::regtype, 'varbit'::regtype, 'date'::regtype, 'time'::regtype,
                                'timestamp'::regtype, 'timestamptz'::regtype, 'uuid'::regtype, 'inet'::regtype,
                                'cidr'::regtype, 'macaddr'::regtype, 'macaddr8'::regtype, 'pg_lsn'::regtype,
                                'int4range'::regtype, 'int8range'::regtype, 'daterange'::regtype, 'tsrange'::regtype,
                                'tstzrange'::regtype)
                      OR b.typtype = 'e' OR (b.oid IN ('numeric'::regtype, 'bpchar'::regtype)
                                             AND greatest(a.atttypmod, y.typtypmod) <> -1))
                 OR EXISTS (SELECT FROM pg_collation o WHERE o.oid = i.indcollation[(k.n - 1)::int]
                            AND NOT o.collisdeterministic)
            THEN ''
            ELSE coalesce(a.attname, '') END
FROM unnest($1::int8[]::oid[]) AS t (oid)
CROSS JOIN LATERAL (SELECT t.oid UNION SELECT relid FROM pg_partition_tree(t.oid)) AS l (oid)
JOIN pg_index i ON i.indrelid = l.oid
JOIN pg_class c ON c.oid = i.indexrelid
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND a.attnum > 0
LEFT JOIN pg_type y ON y.oid = a.atttypid
LEFT JOIN pg_type b ON b.oid = CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END
WHERE (i.indisunique OR i.indisexclusion) AND i.indisready AND k.n <= i.indnkeyatts
ORDER BY t.oid, i.indexrelid, k.n)";

// Of what it looks at in expressions and a predicate pg_depend knows each column, but for a row as a whole, which is
// column 0. One that compares the whole primary key, as that does, parts what the primary key parts.
constexpr const char* tied_columns_begin = R"(
SELECT t.oid, a.attname AS name, u.indimmediate AND coalesce(u.indexprs::text, '') !~ ':varattno 0 '
       AND coalesce(u.indpred::text, '') !~ ':varattno 0 ' AS early
FROM )";
constexpr const char* tied_columns_end = R"( AS t
JOIN pg_index u ON u.indrelid = t.part
CROSS JOIN LATERAL (
  SELECT k.attnum FROM unnest(u.indkey::int2[]) WITH ORDINALITY AS k (attnum, n) WHERE k.n <= u.indnkeyatts
  UNION SELECT d.refobjsubid FROM pg_depend d
   WHERE d.classid = 'pg_class'::regclass AND d.objid = u.indexrelid
     AND d.refclassid = 'pg_class'::regclass AND d.refobjid = u.indrelid) AS k (attnum)
LEFT JOIN pg_attribute a ON a.attrelid = u.indrelid AND a.attnum = k.attnum AND a.attnum > 0
WHERE NOT u.indisprimary AND (u.indisexclusion OR u.indisunique AND EXISTS (
  SELECT FROM pg_index p, generate_series(0, p.indnkeyatts - 1) AS i
   WHERE p.indrelid = u.indrelid AND p.indisprimary AND NOT EXISTS (
     SELECT FROM generate_series(0, u.indnkeyatts - 1) AS j
      WHERE u.indkey[j] = p.indkey[i] AND u.indclass[j] = p.indclass[i] AND u.indcollation[j] = p.indcollation[i]))))";

}  // namespace

pgclient::result<std::map<std::int64_t, std::vector<model::tie>>> read_ties(pgclient::connection& db,
                                                                            const std::string& tables) {
    auto got = db.exec(ties_sql, {tables});
    if (!got) return got.error();
    std::map<std::int64_t, std::vector<model::tie>> found;
    for (int i = 0; i < got->size(); ++i) {
        auto& ties = found[got->integer(i, 0).value_or(0)];
        if (ties.empty() || got->text(i, 1) != got->text(i - 1, 1)) ties.push_back({std::string{got->text(i, 2)}, {}});
        ties.back().columns.emplace_back(got->text(i, 3));
    }
    return found;
}

std::string parts_sql(const std::string& tables) {
    return "(WITH RECURSIVE parts (oid, part) AS (SELECT given.oid, given.oid FROM " + tables +
           " AS given (oid) UNION ALL SELECT p.oid, c.oid FROM parts p JOIN pg_inherits i ON i.inhparent = p.part"
           " JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition) TABLE parts)";
}

std::string tied_columns_sql(const std::string& tables) {
    return tied_columns_begin + parts_sql(tables) + tied_columns_end;
}

}  // namespace crossfade::store
