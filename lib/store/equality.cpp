#include "lib/store/equality.hpp"

namespace crossfade::store {

std::string operator_sql(const std::string& type, int strategy, const std::string& in_pg_catalog) {
    return "coalesce((WITH RECURSIVE base (oid) AS (SELECT " + type +
           " UNION ALL SELECT d.typbasetype FROM base b JOIN pg_type d ON d.oid = b.oid AND d.typtype = 'd')"
           " SELECT 'OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')' FROM base b"
           " JOIN pg_opclass s ON s.opcintype = b.oid AND s.opcdefault"
           " JOIN pg_am m ON m.oid = s.opcmethod AND m.amname = 'btree'"
           " JOIN pg_amop p ON p.amopfamily = s.opcfamily AND p.amoplefttype = b.oid AND p.amoprighttype = b.oid"
           " AND p.amopstrategy = " +
           std::to_string(strategy) +
           " JOIN pg_operator o ON o.oid = p.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace"
           " WHERE n.nspname <> 'pg_catalog'), '" +
           in_pg_catalog + "')";
}

// Not float4 and float8, which have two zeros, nor bpchar, whose spaces count for nothing.
std::string one_text_sql(const std::string& type, const std::string& collation) {
    return "(" + type +
           " IN ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'uuid'::regtype,"
           " 'bytea'::regtype, '\"char\"'::regtype, 'bit'::regtype, 'varbit'::regtype, 'inet'::regtype,"
           " 'cidr'::regtype, 'macaddr'::regtype, 'macaddr8'::regtype, 'date'::regtype, 'time'::regtype,"
           " 'timetz'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) OR (" +
           type +
           " IN ('text'::regtype, 'varchar'::regtype, 'name'::regtype)"
           " AND EXISTS (SELECT FROM pg_collation l WHERE l.oid = " +
           collation +
           " AND l.collisdeterministic))"
           " OR EXISTS (SELECT FROM pg_type e WHERE e.oid = " +
           type + " AND e.typtype = 'e'))";
}

}  // namespace crossfade::store
