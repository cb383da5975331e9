#include <gtest/gtest.h>

#include "tests/unit/sql/samples.hpp"

namespace crossfade::sql {
namespace {

TEST(volatility_of, expressions_without_functions) {
    const sample samples[] = {
        {"SELECT 1", "read immutable read-only"},
        {"SELECT true, false, NULL, 'x', 1.5, B'101', $1", "read immutable read-only"},
        {"SELECT * FROM t WHERE a = true AND b IS NOT TRUE", "read stable read-only; t:r"},
        {"SELECT a::int, '2020-01-01'::date FROM t", "read stable read-only; t:r"},
        {"SELECT CAST(a AS s.status) FROM t", "read stable read-only; t:r"},
        {"SELECT CASE WHEN a THEN b ELSE c END, coalesce(a, b), nullif(a, b), greatest(a, b) FROM t",
         "read stable read-only; t:r"},
        {"SELECT a[1], (b).c, ROW(1, 2), a || b, a LIKE 'x%', a BETWEEN 1 AND 2, a IS DISTINCT FROM b FROM t",
         "read stable read-only; t:r"},
        {"SELECT extract(year FROM d), substring(a FROM 1 FOR 2), trim(both 'x' FROM a), position('a' IN b), d AT TIME "
         "ZONE 'UTC' FROM t",
         "read stable read-only; t:r"},
        {"SELECT xmlelement(name a, b), xmlforest(c) FROM t", "read stable read-only; t:r"},
        {"SELECT * FROM XMLTABLE('/x' PASSING (SELECT doc FROM d) COLUMNS a int)", "read stable read-only; d:r"},
        {"SELECT a FROM t GROUP BY ROLLUP (a), GROUPING SETS ((a), ()) HAVING count(*) > 1 WINDOW w AS (ORDER BY a) "
         "ORDER BY a FETCH FIRST 5 ROWS WITH TIES",
         "read stable read-only; t:r"},
    };
    expect_all(samples);
}

TEST(volatility_of, functions_of_postgresql) {
    const sample samples[] = {
        {"SELECT now(), current_timestamp, current_user", "read stable read-only"},
        {"SELECT random()", "read volatile"},
        {"SELECT pg_catalog.lower(a) FROM t", "read immutable read-only; t:r"},
        {"SELECT \"pg_catalog\".\"nextval\"('x')", "read volatile"},
        {"SELECT NEXTVAL('x')", "read volatile"},
        {"SELECT nextval('s')", "read volatile"},
        {"SELECT pg_notify('c', 'p')", "read volatile"},
        {"SELECT pg_sleep(1)", "read volatile"},
        {"SELECT txid_current()", "read volatile"},
        {"SELECT pg_current_xact_id_if_assigned()", "read stable read-only"},
        {"SELECT lo_import('/x')", "read volatile"},
        {"SELECT pg_terminate_backend(1)", "read volatile"},
        {"SELECT currval('s')", "read volatile drawn"},
        {"SELECT table_to_xml('x', true, false, '')", "read volatile"},
        {"SELECT query_to_xml('delete from x', true, false, '')", "read volatile"},
        {"SELECT * FROM generate_series(1, 10) g", "read stable read-only"},
        {"SELECT * FROM t TABLESAMPLE bernoulli (10)", "read volatile; t:r"},
        {"SELECT * FROM t TABLESAMPLE system (10) REPEATABLE (1)", "read volatile; t:r"},
        {"SELECT count(*), sum(a) FILTER (WHERE b > random()) OVER (PARTITION BY c) FROM t", "read volatile; t:r"},
        {"SELECT a FROM t ORDER BY random()", "read volatile; t:r"},
        {"SELECT a FROM t LIMIT random() * 10", "read volatile; t:r"},
        {"SELECT a FROM t WINDOW w AS (ORDER BY clock_timestamp())", "read volatile; t:r"},
        {"SELECT a FROM t GROUP BY gen_random_uuid() HAVING bool_or(random() > 0)", "read volatile; t:r"},
        {"SELECT a FROM b JOIN c ON random() > 0.5", "read volatile; b:r c:r"},
        {"VALUES (1), (random())", "read volatile"},
        {"SELECT (random())::int, ARRAY[random()], ROW(random()), CASE WHEN random() > 0 THEN 1 END", "read volatile"},
    };
    expect_all(samples);
}

TEST(volatility_of, functions_of_others) {
    const sample samples[] = {
        {"SELECT my_function(a) FROM t", "read unknown; t:r"},
        {"SELECT other.lower(a) FROM t", "read unknown; t:r"},
        {"SELECT db.pg_catalog.lower(a) FROM t", "read unknown; t:r"},
        {"SELECT dblink('x', 'y')", "read unknown"},
        {"SELECT \"Random\"()", "read unknown"},
        {"SELECT * FROM ROWS FROM (generate_series(1, 2), f(3)) AS x", "read unknown"},
        {"SELECT random(), f()", "read unknown"},
        {"SELECT f(), random()", "read unknown"},
        {"SELECT my_aggregate(DISTINCT a ORDER BY b) FROM t", "read unknown; t:r"},
        {"SELECT * FROM f(1) WITH ORDINALITY", "read unknown"},
    };
    expect_all(samples);
}

TEST(volatility_of, operators) {
    const sample samples[] = {
        {"SELECT a FROM t WHERE a = 1", "read stable read-only; t:r"},
        {"SELECT a + 1, -a, a || b, a && b, a <-> b, a ->> b FROM t", "read stable read-only; t:r"},
        {"SELECT a FROM t WHERE a <@> 1", "read unknown; t:r"},
        {"SELECT a FROM t WHERE a <=> 1", "read unknown; t:r"},
        {"SELECT a FROM t WHERE a NOT BETWEEN SYMMETRIC 1 AND f(2)", "read unknown; t:r"},
        {"SELECT a FROM t WHERE a NOT ILIKE b OR a SIMILAR TO c OR a IN (1, 2)", "read stable read-only; t:r"},
        {"SELECT a FROM t WHERE a OPERATOR(public.=) 1", "read unknown; t:r"},
        {"SELECT a FROM t WHERE a OPERATOR(pg_catalog.=) 1", "read stable read-only; t:r"},
        {"SELECT OPERATOR(s.-) a FROM t", "read unknown; t:r"},
        {"SELECT a = ANY (SELECT b FROM u) FROM t", "read stable read-only; u:r t:r"},
        {"SELECT a OPERATOR(x.=) ANY (SELECT b FROM u) FROM t", "read unknown; u:r t:r"},
        {"SELECT a OPERATOR(x.=) ANY (ARRAY[1]) FROM t", "read unknown; t:r"},
        {"SELECT * FROM t ORDER BY a USING OPERATOR(x.<)", "read unknown; t:r"},
        {"SELECT * FROM t ORDER BY a USING <", "read stable read-only; t:r"},
    };
    expect_all(samples);
}

TEST(volatility_of, functions_that_sessions_remember) {
    const sample samples[] = {
        {"SELECT set_config('a.b', 'x', false)", "read volatile set_config (a.b)"},
        {"SELECT pg_catalog.set_config('A.B', $1, $2), set_config('a.b', $1, false), set_config('c.d', 'x', 't')",
         "read volatile set_config (a.b) (c.d)"},
        {"SELECT set_config('a.b', 'x', true)", "read volatile set_config"},
        {"SELECT set_config('Synchronous_Commit', 'off', true)", "read volatile set_config (commits)"},
        {"SELECT set_config('synchronous_commit', 'off', false)",
         "read volatile set_config (commits) (synchronous_commit)"},
        {"SELECT set_config($1, 'off', true)", "read volatile set_config (commits)"},
        {"SELECT set_config($1, 'x', false)", "read volatile set_config (commits) (?)"},
        {"SELECT set_config('a.' || b, 'x', c) FROM t", "read volatile set_config (commits) (?); t:r"},
        {"SELECT set_config(setting_name => 'a.b', new_value => 'x', is_local => true)",
         "read volatile set_config (commits) (?)"},
        {"UPDATE t SET a = set_config(E'a\\x2eb', 'x', false)", "write volatile writes set_config (a.b); t:w"},
        {"SELECT U&\"set\\005fconfig\"('a.b', '', false)", "read volatile set_config (a.b)"},
        {"SELECT s.set_config('a.b', 'x', false)", "read unknown"},
        {"INSERT INTO t VALUES (currval('s'), lastval())", "write volatile writes drawn; t:w"},
        {"SELECT pg_advisory_lock(1)", "read volatile lock"},
        {"SELECT pg_try_advisory_lock_shared(1, 2)", "read volatile lock"},
        {"SELECT pg_advisory_xact_lock(1)", "read volatile"},
        {"SELECT 1 WHERE EXISTS (SELECT pg_advisory_unlock(1))", "read volatile unlock"},
        {"SELECT pg_advisory_unlock_all()", "read volatile unlock"},
        {"SELECT pg_catalog.pg_try_advisory_lock(1)", "read volatile lock"},
        {"SELECT s.pg_advisory_lock(1)", "read unknown"},
        {"INSERT INTO a SELECT 1 WHERE (SELECT pg_advisory_lock(id) FROM b) IS NULL",
         "write volatile writes lock; a:w b:r"},
        {"COPY (SELECT set_config('a', 'b', true)) TO STDOUT", "copy volatile set_config"},
        {"SELECT * FROM pg_advisory_lock_shared(1) x JOIN a ON set_config('a', 'b', false) = ''",
         "read volatile set_config (a) lock; a:r"},
        {"SELECT pg_try_advisory_xact_lock(1)", "read volatile"},
    };
    expect_all(samples);
}

}  // namespace
}  // namespace crossfade::sql
