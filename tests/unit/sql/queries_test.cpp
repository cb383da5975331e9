#include <gtest/gtest.h>

#include "tests/unit/sql/samples.hpp"

namespace crossfade::sql {
namespace {

TEST(queries, name_their_tables) {
    const sample samples[] = {
        {"SELECT * FROM a, b JOIN c USING (id) LEFT JOIN LATERAL (SELECT * FROM d WHERE d.x = a.x) e ON true",
         "read stable read-only; a:r b:r c:r d:r"},
        {"SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.id = a.id) AND x IN (SELECT y FROM c)",
         "read stable read-only; a:r b:r c:r"},
        {"SELECT (SELECT max(id) FROM a), ARRAY(SELECT id FROM b)", "read immutable read-only; a:r b:r"},
        {"SELECT * FROM a UNION ALL SELECT * FROM b EXCEPT SELECT * FROM a", "read immutable read-only; a:r b:r"},
        {"SELECT * FROM orders", "read immutable read-only; orders:r"},
        {"SELECT * FROM ONLY sales.orders o WHERE o.id = $1", "read stable read-only; sales.orders:r"},
        {"TABLE orders", "read immutable read-only; orders:r"},
        {"VALUES (1, 'one'), (2, 'two')", "read immutable read-only"},
        {"SELECT \"T\".x FROM \"Sch\".\"T\"", "read immutable read-only; Sch.T:r"},
        {"SELECT * FROM information_schema.tables", "read immutable read-only; information_schema.tables:r"},
        {"SELECT * FROM db.public.orders", "read immutable read-only; public.orders:r"},
        {"SELECT count(*) FROM a, a b, s.a", "read immutable read-only; a:r s.a:r"},
        {"SELECT DISTINCT ON (a) a FROM t LIMIT (SELECT 1 FROM u) OFFSET 2", "read immutable read-only; t:r u:r"},
        {"SELECT f(x => (SELECT g(y) FROM u)) FROM t", "read unknown; u:r t:r"},
        {"SELECT * FROM täble", "read immutable read-only; täble:r"},
    };
    expect_all(samples);
}

TEST(queries, know_a_cte_from_a_table) {
    const sample samples[] = {
        {"WITH x AS (SELECT * FROM a) SELECT * FROM x", "read immutable read-only; a:r"},
        {"WITH x AS (SELECT * FROM a), y AS (SELECT * FROM x, b) SELECT * FROM y", "read immutable read-only; a:r b:r"},
        {"WITH x AS (SELECT * FROM x) SELECT * FROM x", "read immutable read-only; x:r"},
        {"WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 10) SELECT * FROM x",
         "read stable read-only"},
        {"WITH x AS (SELECT 1) SELECT * FROM public.x", "read immutable read-only; public.x:r"},
        {"WITH x AS (SELECT 1) SELECT * FROM (WITH x AS (SELECT * FROM a) SELECT * FROM x) s, x",
         "read immutable read-only; a:r"},
        {"SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) s, x", "read immutable read-only; x:r"},
        {"WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x", "write immutable writes cte; a:w"},
        {"WITH x AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM x RETURNING id",
         "write immutable writes cte returning; a:w b:w"},
        {"WITH a AS (SELECT 1) INSERT INTO a SELECT * FROM a", "write immutable writes; a:w"},
        {"WITH a AS (SELECT 1) UPDATE a SET x = 1 FROM a AS other", "write immutable writes; a:w"},
        {"WITH a AS (SELECT 1) DELETE FROM a USING a AS other", "write immutable writes; a:w"},
    };
    expect_all(samples);
}

// https://www.postgresql.org/docs/15/sql-select.html, "The Locking Clause".
TEST(queries, lock_what_for_update_reaches) {
    const sample samples[] = {
        {"SELECT * FROM a FOR UPDATE", "read immutable; a:rl"},
        {"SELECT * FROM a FOR NO KEY UPDATE NOWAIT", "read immutable; a:rl"},
        {"SELECT * FROM a, b FOR SHARE SKIP LOCKED", "read immutable; a:rl b:rl"},
        {"SELECT * FROM a x, b y FOR UPDATE OF x", "read immutable; a:rl b:r"},
        {"SELECT * FROM a x, b y FOR UPDATE OF x FOR SHARE OF y", "read immutable; a:rl b:rl"},
        {"SELECT * FROM a JOIN (SELECT * FROM b) s ON s.id = a.id FOR UPDATE", "read stable; a:rl b:rl"},
        {"SELECT * FROM a JOIN (SELECT * FROM b WHERE id IN (SELECT id FROM c)) s ON s.id = a.id FOR UPDATE OF s",
         "read stable; a:r b:rl c:r"},
        {"SELECT * FROM a JOIN b ON a.id = (SELECT max(id) FROM c) FOR UPDATE", "read stable; a:rl b:rl c:r"},
        {"SELECT * FROM a WHERE id IN (SELECT id FROM b) FOR UPDATE", "read immutable; a:rl b:r"},
        {"SELECT * FROM a WHERE id IN (SELECT id FROM b FOR UPDATE)", "read immutable; a:r b:rl"},
        {"WITH x AS (SELECT * FROM a) SELECT * FROM x, b FOR UPDATE", "read immutable; a:r b:rl"},
        {"WITH x AS (SELECT * FROM a FOR UPDATE) SELECT * FROM x", "read immutable; a:rl"},
    };
    expect_all(samples);
}

TEST(queries, that_make_a_table_are_ddl) {
    const sample samples[] = {
        {"SELECT * INTO new_table FROM a", "ddl immutable writes; new_table:wd a:r"},
        {"SELECT * INTO TEMP new_table FROM a", "ddl immutable writes; new_table:wd a:r; temporary"},
        {"SELECT 1 INTO x UNION SELECT 2 FROM a", "ddl immutable writes; x:wd a:r"},
        {"CREATE TABLE b AS SELECT * FROM a", "ddl immutable writes; a:r b:wd"},
        {"CREATE TEMP TABLE b AS SELECT * FROM a", "ddl immutable writes; a:r b:wd; temporary"},
        {"CREATE TABLE b AS EXECUTE q(1)", "ddl immutable writes anywhere; b:wd"},
        {"CREATE MATERIALIZED VIEW m AS SELECT * FROM a WITH NO DATA", "ddl immutable writes; a:r m:wd"},
        {"REFRESH MATERIALIZED VIEW CONCURRENTLY m", "ddl immutable; m:d"},
        {"CREATE TABLE b AS WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x",
         "ddl immutable writes cte; a:w b:wd"},
        {"CREATE TABLE b AS TABLE a", "ddl immutable writes; a:r b:wd"},
        {"CREATE TABLE b AS VALUES (f())", "ddl unknown writes; b:wd"},
        {"CREATE TABLE pg_temp.b AS SELECT 1", "ddl immutable writes; pg_temp.b:wd; temporary"},
        {"SELECT * INTO pg_temp.b FROM a", "ddl immutable writes; pg_temp.b:wd a:r; temporary"},
    };
    expect_all(samples);
}

}  // namespace
}  // namespace crossfade::sql
