#include "cdc/backfill/source_table.hpp"

#include <algorithm>

#include "lib/store/equality.hpp"

namespace crossfade::cdc::backfill {

namespace {

// The estimate counts the leaves of a partitioned table, which has no rows itself.
constexpr const char* table_sql =
    "SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', c.relreplident,"
    " (SELECT greatest(sum(l.reltuples), 0)::bigint FROM pg_class l WHERE l.relkind = 'r' AND (l.oid = c.oid"
    " OR l.oid IN (SELECT relid FROM pg_partition_tree(c.oid))))"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname || '.' || c.relname = $1 AND c.relkind IN ('r', 'p')";

std::string columns_sql() {
    // The last column: whether it belongs to the replica identity.
    return "SELECT a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, -1), " +
           store::operator_sql("a.atttypid", 3, "=") + ", " + store::operator_sql("a.atttypid", 5, ">") +
           ", c.relreplident = 'f' OR EXISTS (SELECT FROM pg_index i"
           " WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey)"
           " AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident))"
           " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.oid = $1::oid AND a.attnum > 0"
           " AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum";
}

// That by which the stream knows rows, where there is one. Not an index that tells keys apart which ORDER BY takes for
// equal: a chunk could end between two of them.
std::string key_sql() {
    return "SELECT a.attname FROM (SELECT indrelid, indkey::int2[], indnkeyatts FROM pg_index i JOIN pg_class c"
           " ON c.oid = i.indrelid WHERE indrelid = $1::oid AND indisunique AND indisvalid AND indimmediate"
           " AND indpred IS NULL AND"
           " NOT EXISTS (SELECT FROM generate_series(0, indnkeyatts - 1) AS k LEFT JOIN pg_attribute a"
           " ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k] AND a.attnotnull AND a.attgenerated = ''"
           " LEFT JOIN pg_collation l ON l.oid = a.attcollation"
           " JOIN pg_opclass s ON s.oid = i.indclass[k] JOIN pg_type t ON t.oid = s.opcintype"
           " WHERE a.attnum IS NULL OR i.indkey[k] = 0"
           " OR NOT l.collisdeterministic AND i.indcollation[k] <> l.oid"
           " OR t.typnamespace = 'pg_catalog'::regnamespace AND " +
           store::operator_sql("a.atttypid", 3, "=") +
           " <> '=') ORDER BY c.relreplident = 'i' AND indisreplident DESC, indisprimary DESC, indexrelid LIMIT 1) AS "
           "u,"
           " unnest(u.indkey) WITH ORDINALITY AS k(attnum, place)"
           " JOIN pg_attribute a ON a.attrelid = $1::oid AND a.attnum = k.attnum"
           " WHERE k.place <= u.indnkeyatts ORDER BY k.place";
}

model::replica_identity identity(char of) {
    switch (of) {
        case 'n':
            return model::replica_identity::nothing;
        case 'f':
            return model::replica_identity::full;
        case 'i':
            return model::replica_identity::index;
        default:
            return model::replica_identity::primary_key;
    }
}

}  // namespace

pgclient::result<std::unique_ptr<source_table>> load_source_table(pgclient::connection& db, const std::string& name) {
    auto got = db.exec(table_sql, {name});
    if (!got) return got.error();
    if (got->empty()) return std::unique_ptr<source_table>{};
    auto found = std::make_unique<source_table>();
    auto rel = std::make_shared<model::relation>();
    const std::string oid{got->text(0, 0)};
    rel->oid = static_cast<std::uint32_t>(got->integer(0, 0).value_or(0));
    rel->table = {std::string{got->text(0, 1)}, std::string{got->text(0, 2)}};
    found->partitioned = got->boolean(0, 3);
    rel->identity = identity(got->text(0, 4).front());
    found->estimated_rows = got->integer(0, 5).value_or(0);

    auto columns = db.exec(columns_sql(), {oid});
    if (!columns) return columns.error();
    for (int i = 0; i < columns->size(); ++i) {
        rel->columns.push_back(
            {std::string{columns->text(i, 0)}, static_cast<std::uint32_t>(columns->integer(i, 1).value_or(0)),
             static_cast<std::int32_t>(columns->integer(i, 2).value_or(-1)), columns->boolean(i, 6)});
        found->types.emplace_back(columns->text(i, 3));
        found->compared.push_back({std::string{columns->text(i, 4)}, std::string{columns->text(i, 5)}});
    }
    auto key = db.exec(key_sql(), {oid});
    if (!key) return key.error();
    for (int i = 0; i < key->size(); ++i) {
        const auto column = std::ranges::find(rel->columns, key->text(i, 0), &model::column::name);
        found->key.push_back(static_cast<std::size_t>(column - rel->columns.begin()));
    }
    found->rel = std::move(rel);
    return found;
}

}  // namespace crossfade::cdc::backfill
