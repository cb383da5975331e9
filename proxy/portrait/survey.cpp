#include "proxy/portrait/survey.hpp"

#include "lib/pgwire/ascii.hpp"

namespace crossfade::proxy::portrait {

// A null is a call of set_config whose first argument is more than a literal, or a SET that is put together from text.
// OIDs below 16384 are PostgreSQL's own functions.
std::string_view survey_sql() {
    return R"sql(/* crossfade: what functions may set */
WITH bodies (text) AS (
    SELECT CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_catalog.pg_get_function_sqlbody(p.oid) END
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
    WHERE p.oid OPERATOR(pg_catalog.>=) CAST(16384 AS pg_catalog.oid)
      AND NOT CAST(l.lanname AS pg_catalog.text) OPERATOR(pg_catalog.=) ANY (ARRAY['internal', 'c'])
)
SELECT called.match[1] FROM bodies AS b,
    LATERAL pg_catalog.regexp_matches(b.text, 'set_config"?\s*\(\s*(?:''([^'']*)''\s*(?:::\s*\w+\s*)?,)?', 'gi')
        AS called (match)
UNION ALL
SELECT said.match[1] FROM bodies AS b,
    LATERAL pg_catalog.regexp_matches(b.text,
        '\mset\s+(?:session\s+|local\s+)?("?[a-z_][\w$]*"?(?:\."?[a-z_][\w$]*"?)+)\s*(?:=|to\M)', 'gi') AS said (match)
UNION ALL
SELECT NULL FROM bodies AS b
WHERE b.text OPERATOR(pg_catalog.~*) '\mset\s+(session\s+|local\s+)?(%|''\s*\|\|)')sql";
}

void add(function_survey& to, std::optional<std::string_view> name) {
    if (!name) {
        to.complete = false;
        return;
    }
    std::string plain;
    for (const char letter : *name)
        if (letter != '"') plain += pgwire::lower(letter);
    if (plain.find('.') != std::string::npos) to.own_settings.insert(std::move(plain));
}

}  // namespace crossfade::proxy::portrait
