#include <gtest/gtest.h>

#include "tests/unit/sql/samples.hpp"

namespace crossfade::sql {
namespace {

TEST(writes, name_their_target_and_their_sources) {
    const sample samples[] = {
        {"INSERT INTO orders VALUES (1, 2)", "write immutable writes; orders:w"},
        {"INSERT INTO sales.orders (id) VALUES ($1) RETURNING *", "write immutable writes returning; sales.orders:w"},
        {"INSERT INTO a SELECT * FROM b JOIN c ON true", "write immutable writes; a:w b:r c:r"},
        {"INSERT INTO a DEFAULT VALUES", "write immutable writes; a:w"},
        {"INSERT INTO a AS x (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET n = x.n + 1 WHERE x.n < (SELECT max(n) "
         "FROM b)",
         "write stable writes conflict; a:w b:r"},
        {"INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING", "write immutable writes conflict; a:w"},
        {"INSERT INTO a VALUES (nextval('s'), now())", "write volatile writes; a:w"},
        {"INSERT INTO a OVERRIDING SYSTEM VALUE SELECT * FROM a", "write immutable writes; a:rw"},
        {"UPDATE a SET x = 1", "write immutable writes; a:w"},
        {"UPDATE ONLY s.a SET x = (SELECT max(y) FROM b), (z, w) = (SELECT 1, 2 FROM d) FROM c WHERE a.id = c.id "
         "RETURNING a.id",
         "write stable writes returning; s.a:w b:r d:r c:r"},
        {"UPDATE a SET x = 1 WHERE CURRENT OF c", "write immutable writes; a:w"},
        {"DELETE FROM a", "write immutable writes; a:w"},
        {"DELETE FROM a USING b, a AS c WHERE a.id = b.id RETURNING b.x", "write stable writes returning; a:rw b:r"},
        {"MERGE INTO a USING b ON a.id = b.id WHEN MATCHED AND b.gone THEN DELETE WHEN MATCHED THEN UPDATE SET x = b.x "
         "WHEN NOT MATCHED THEN INSERT VALUES (b.id, f(b.x))",
         "write unknown writes; a:w b:r"},
        {"MERGE INTO a USING (SELECT * FROM b) s ON a.id = s.id WHEN MATCHED THEN DO NOTHING",
         "write stable writes; a:w b:r"},
        {"WITH s AS (SELECT * FROM b) MERGE INTO a USING s ON a.id = s.id WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
         "write stable writes; b:r a:w"},
        {"INSERT INTO a VALUES (1) RETURNING (SELECT x FROM b)", "write immutable writes returning; a:w b:r"},
        {"WITH x AS (INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING RETURNING *) SELECT * FROM x",
         "write immutable writes cte; a:w"},
        {"WITH x AS (INSERT INTO a VALUES (1)), y AS (UPDATE b SET c = 1) DELETE FROM d",
         "write immutable writes cte; a:w b:w d:w"},
        {"WITH x AS (SELECT 1), y AS (UPDATE b SET c = 1 FROM x) SELECT * FROM y, x",
         "write immutable writes cte; b:w"},
        {"INSERT INTO a (SELECT * FROM b FOR UPDATE)", "write immutable writes; a:w b:rl"},
    };
    expect_all(samples);
}

TEST(writes, of_whole_tables_or_of_unknown_ones) {
    const sample samples[] = {
        {"TRUNCATE a, s.b RESTART IDENTITY", "write immutable writes; a:w s.b:w"},
        {"TRUNCATE TABLE ONLY a CASCADE", "write immutable writes anywhere; a:w"},
        {"CALL s.p(1, 2)", "write unknown writes anywhere"},
        {"DO $$ BEGIN DELETE FROM a; END $$", "write unknown writes anywhere"},
    };
    expect_all(samples);
}

TEST(writes, by_copy_and_reads_by_it) {
    const sample samples[] = {
        {"COPY a FROM STDIN", "copy immutable writes; a:w"},
        {"COPY s.a (x, y) FROM '/tmp/x' WITH (FORMAT csv) WHERE x > 1", "copy stable writes; s.a:w"},
        {"COPY a TO STDOUT", "copy immutable; a:r"},
        {"COPY (SELECT * FROM a, b) TO STDOUT", "copy immutable; a:r b:r"},
        {"COPY (DELETE FROM a RETURNING *) TO STDOUT", "copy immutable writes; a:w"},
        {"COPY a FROM PROGRAM 'cat'", "copy immutable writes; a:w"},
        {"COPY BINARY a FROM STDIN", "copy immutable writes; a:w"},
        {"COPY a FROM STDIN WHERE f(x)", "copy unknown writes; a:w"},
        {"COPY (SELECT f() FROM a) TO '/tmp/x'", "copy unknown; a:r"},
        {"COPY (WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x) TO STDOUT", "copy immutable writes cte; a:w"},
    };
    expect_all(samples);
}

TEST(writes, are_reads_where_explain_does_not_run_them) {
    const sample samples[] = {
        {"EXPLAIN SELECT * FROM a", "read immutable read-only; a:r"},
        {"EXPLAIN SELECT random()", "read volatile"},
        {"EXPLAIN (COSTS OFF, ANALYZE FALSE) INSERT INTO a SELECT * FROM b RETURNING id",
         "read immutable read-only; a:r b:r"},
        {"EXPLAIN ANALYZE INSERT INTO a SELECT * FROM b RETURNING id", "write immutable writes; a:w b:r"},
        {"EXPLAIN (ANALYZE, BUFFERS) UPDATE a SET x = 1", "write immutable writes; a:w"},
        {"EXPLAIN (ANALYZE off, VERBOSE) DELETE FROM a", "read immutable read-only; a:r"},
        {"EXPLAIN (ANALYZE 0) DELETE FROM a", "read immutable read-only; a:r"},
        {"EXPLAIN (ANALYZE 1) DELETE FROM a", "write immutable writes; a:w"},
        {"EXPLAIN ANALYZE SELECT * FROM a", "read immutable read-only; a:r"},
        {"EXPLAIN ANALYZE SELECT * FROM a FOR UPDATE", "read immutable; a:rl"},
        {"EXPLAIN SELECT * FROM a FOR UPDATE", "read immutable read-only; a:r"},
        {"EXPLAIN ANALYZE WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x", "write immutable writes cte; a:w"},
        {"EXPLAIN CREATE TABLE b AS SELECT * FROM a", "read immutable read-only; a:r b:r"},
        {"EXPLAIN ANALYZE CREATE TEMP TABLE b AS SELECT * FROM a", "ddl immutable writes; a:r b:wd; temporary"},
        {"EXPLAIN DECLARE c CURSOR FOR SELECT * FROM a", "read immutable read-only; a:r"},
        {"EXPLAIN EXECUTE q(1)", "execute unknown anywhere;; execute q"},
        {"EXPLAIN ANALYZE EXECUTE q(1)", "execute unknown anywhere;; execute q"},
        {"EXPLAIN (ANALYZE, ANALYZE off) DELETE FROM a", "read immutable read-only; a:r"},
        {"EXPLAIN (ANALYZE false, ANALYZE) DELETE FROM a", "write immutable writes; a:w"},
        {"EXPLAIN (ANALYZE \"off\") DELETE FROM a", "read immutable read-only; a:r"},
        {"EXPLAIN (FORMAT json) SELECT f() FROM a", "read unknown; a:r"},
        {"EXPLAIN VERBOSE DELETE FROM a", "read immutable read-only; a:r"},
        {"EXPLAIN ANALYZE VERBOSE DELETE FROM a", "write immutable writes; a:w"},
        {"EXPLAIN ANALYZE DECLARE c CURSOR FOR SELECT f() FROM a", "read unknown; a:r"},
        {"EXPLAIN REFRESH MATERIALIZED VIEW m", "read immutable read-only; m:r"},
        {"EXPLAIN ANALYZE REFRESH MATERIALIZED VIEW m", "ddl immutable; m:d"},
    };
    expect_all(samples);
}

}  // namespace
}  // namespace crossfade::sql
