#pragma once

#include <string>

// What a database's types make of equality, as SQL. Our sessions look in pg_catalog alone.
namespace crossfade::store {

// A query's expression: the operator of btree's `strategy` (3: =, 5: >) that sorts go by for the type whose oid the SQL
// `type` is, as SQL takes it. Of a type that is coerced to one of pg_catalog, as citext is to text, our sessions would
// find that one's, which says something else; of others, as ltree, none.
std::string operator_sql(const std::string& type, int strategy, const std::string& in_pg_catalog);

// A query's condition: all values of a type that are equal have the same text, unlike numeric's 1.0 and 1.00. False
// where that isn't known. `type` and `collation`: SQL whose values are their oids.
std::string one_text_sql(const std::string& type, const std::string& collation);

}  // namespace crossfade::store
