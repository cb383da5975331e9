#include "cdc/apply/target_catalog.hpp"

#include "lib/store/equality.hpp"
#include "lib/store/ties.hpp"

namespace crossfade::cdc::apply {

namespace {

// A number for each of a table's columns, `a`; their sum is the table's shape. Each batch asks for it, so that it is
// made of what one index finds.
constexpr const char* shape_sql =
    "hashint8((a.attrelid::int8 << 32) | a.atttypid::int8) # hashname(a.attname) # hashchar(a.attgenerated)"
    " # hashchar(a.attidentity) # a.attnotnull::int";

// Types whose equality is that of the text, or coarser (numeric 1.0 and 1.00): their indexes may be used to find a row.
std::string columns_sql() {
    return "SELECT a.attname, format_type(a.atttypid, -1),"
           " CASE WHEN t.typarray <> 0 THEN format_type(t.typarray, -1) ELSE '' END, t.typdelim, a.attgenerated <> '',"
           " a.attidentity = 'a', a.attnotnull,"
           " a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'text'::regtype, 'varchar'::regtype,"
           " 'uuid'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'date'::regtype, 'numeric'::regtype, "
           "'bool'::regtype), NOT row_security_active(c.oid), c.oid::int8, c.relkind = 'p', " +
           store::operator_sql("a.atttypid", 3, "=") + ", " +
           store::one_text_sql("coalesce(nullif(t.typbasetype, 0::oid), a.atttypid)", "a.attcollation") + ", " +
           shape_sql +
           " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid"
           " WHERE a.attrelid = to_regclass($1) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped"
           " ORDER BY a.attnum";
}

// None that is DEFERRABLE: nothing checks it where session_replication_role is replica, so that rows may share it for a
// while, or for good.
constexpr std::string_view keys_sql =
    "SELECT i.indexrelid, i.indisprimary, a.attname"
    " FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)"
    " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
    " WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL "
    "AND i.indexprs IS "
    "NULL"
    " AND k.n <= i.indnkeyatts"
    " AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, n)"
    " JOIN pg_attribute n ON n.attrelid = i.indrelid AND n.attnum = u.attnum"
    " WHERE u.n <= i.indnkeyatts AND NOT n.attnotnull)"
    " ORDER BY i.indisprimary DESC, i.indexrelid, k.n";

// $1: the table.
std::string tied_sql() {
    return "SELECT DISTINCT name FROM (" + store::tied_columns_sql("(SELECT to_regclass($1)::oid)") + ") AS tied";
}

}  // namespace

pgclient::result<std::shared_ptr<const target_table>> load_target(pgclient::connection& db,
                                                                  const model::table_name& table, bool with_ties) {
    auto columns = db.exec(columns_sql(), {model::quoted(table)});
    if (!columns) return columns.error();
    if (columns->empty()) return std::shared_ptr<const target_table>{};
    auto found = std::make_shared<target_table>();
    found->name = table;
    for (int i = 0; i < columns->size(); ++i) {
        target_column column;
        column.name = columns->text(i, 0);
        column.type = columns->text(i, 1);
        column.array_type = columns->text(i, 2);
        column.delimiter = columns->text(i, 3).front();
        column.generated = columns->boolean(i, 4);
        column.identity_always = columns->boolean(i, 5);
        column.not_null = columns->boolean(i, 6);
        column.comparable = columns->boolean(i, 7);
        found->copyable = columns->boolean(i, 8);
        found->partitioned = columns->boolean(i, 10);
        column.equals = columns->text(i, 11);
        column.one_text = columns->boolean(i, 12);
        found->shape += columns->integer(i, 13).value_or(0);
        found->columns.push_back(std::move(column));
    }
    auto keys = db.exec(std::string{keys_sql}, {model::quoted(table)});
    if (!keys) return keys.error();
    for (int i = 0; i < keys->size(); ++i) {
        if (i == 0 || keys->text(i, 0) != keys->text(i - 1, 0)) found->keys.push_back({{}, keys->boolean(i, 1)});
        found->keys.back().columns.emplace_back(keys->text(i, 2));
    }
    const auto tied = db.exec(tied_sql(), {model::quoted(table)});
    if (!tied) return tied.error();
    found->tied = !tied->empty();
    for (int i = 0; i < tied->size(); ++i)
        for (auto& column : found->columns) column.tied = column.tied || column.name == tied->text(i, 0);
    if (with_ties) {
        const auto oid = *columns->integer(0, 9);
        auto ties = store::read_ties(db, '{' + std::to_string(oid) + '}');
        if (!ties) return ties.error();
        found->ties = std::move((*ties)[oid]);
    }
    return std::shared_ptr<const target_table>{std::move(found)};
}

statement unless_as_mapped(const table_mapping& mapping) {
    static const std::string sql =
        "SELECT 1 FROM pg_attribute a WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped"
        " HAVING sum(" +
        std::string{shape_sql} + ") IS DISTINCT FROM $2::int8";
    return {sql, {model::quoted(mapping.target), std::to_string(mapping.shape)}, 0};
}

pgclient::result<std::shared_ptr<const target_table>> target_catalog::load(pgclient::connection& db,
                                                                           const model::table_name& table) {
    auto loaded = load_target(db, table, with_ties_);
    if (!loaded) return loaded;
    if (targets_.size() >= capacity) targets_.clear();
    targets_.insert_or_assign(table, *loaded);
    return loaded;
}

pgclient::result<std::shared_ptr<const table_mapping>> target_catalog::mapping(
    pgclient::connection& db, const std::shared_ptr<const model::relation>& rel) {
    if (const auto known = mappings_.find(rel); known != mappings_.end()) return known->second;
    const auto target = targets_.find(rel->table);
    auto made = std::make_shared<table_mapping>();
    if (target != targets_.end()) *made = map_table(rel, target->second.get(), tenant_column_);
    // What is known of the follower's table may be older than the DDL that the source's new version has come with.
    if (target == targets_.end() || made->refused) {
        auto loaded = load(db, rel->table);
        if (!loaded) return loaded.error();
        *made = map_table(rel, loaded->get(), tenant_column_);
    }
    if (mappings_.size() >= capacity) mappings_.clear();
    if (made->refused) refused_.push_back(rel);
    return mappings_.emplace(rel, std::move(made)).first->second;
}

void target_catalog::forget() {
    targets_.clear();
    mappings_.clear();
    refused_.clear();
}

void target_catalog::forget_refused() {
    for (const auto& each : refused_) {
        targets_.erase(each->table);
        mappings_.erase(each);
    }
    refused_.clear();
}

void target_catalog::ties(std::string_view fingerprint) {
    if (fingerprint == ties_) return;
    ties_ = fingerprint;
    forget();
}

void target_catalog::tenant_column(std::string name) {
    if (name == tenant_column_) return;
    tenant_column_ = std::move(name);
    forget();
}

}  // namespace crossfade::cdc::apply
