#pragma once

#include <string_view>

#include "lib/sql/statement.hpp"

namespace crossfade::sql {

// Of what PostgreSQL 15 has in pg_catalog under this name, as the catalog spells it: the worst where there are several.
// `unknown` where it has none. The lists are made by builtins.sql.
volatility function_volatility(std::string_view name);
volatility operator_volatility(std::string_view name);

// Whether PostgreSQL itself has a table or view of that name, which comes first where the text has no schema.
bool is_of_the_catalogs(std::string_view relation);

// Of PostgreSQL's functions, whether what it says is of the server, its catalogs or the connection, and not of what it
// is called with.
bool tells_of_the_server(std::string_view name);

// Of PostgreSQL's volatile functions, whether all that it does is to return a value, or to wait.
bool only_returns(std::string_view name);

// Of PostgreSQL's volatile functions, whether it is known to write no rows of tables, whatever it is called with.
bool writes_no_rows(std::string_view name);

}  // namespace crossfade::sql
