#include <gtest/gtest.h>

#include "tests/unit/sql/samples.hpp"

namespace crossfade::sql {
namespace {

TEST(definitions, create) {
    const sample samples[] = {
        {"CREATE TABLE a (id int PRIMARY KEY, b_id int REFERENCES b (id), n int DEFAULT nextval('s'))",
         "ddl volatile; a:d b:d"},
        {"CREATE TABLE IF NOT EXISTS s.a (LIKE b INCLUDING ALL) INHERITS (c)", "ddl immutable; s.a:d b:r c:d"},
        {"CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (2)", "ddl immutable; p1:d p:d"},
        {"CREATE TEMP TABLE t (id int) ON COMMIT DROP", "ddl immutable; t:d; temporary"},
        {"CREATE LOCAL TEMPORARY TABLE t (id int)", "ddl immutable; t:d; temporary"},
        {"CREATE UNLOGGED TABLE t (id int)", "ddl immutable; t:d"},
        {"CREATE TABLE pg_temp.t (id int)", "ddl immutable; pg_temp.t:d; temporary"},
        {"CREATE TEMP VIEW v AS SELECT * FROM a", "ddl immutable; v:d a:r; temporary"},
        {"CREATE TEMP SEQUENCE s", "ddl immutable;; temporary"},
        {"CREATE SEQUENCE s OWNED BY a.id", "ddl immutable"},
        {"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'select 1'", "ddl immutable;; temporary"},
        {"CREATE FOREIGN TABLE f (id int) SERVER x", "ddl immutable; f:d"},
        {"CREATE VIEW v AS SELECT * FROM a JOIN b USING (id)", "ddl immutable; v:d a:r b:r"},
        {"CREATE OR REPLACE RECURSIVE VIEW v (n) AS SELECT 1 UNION ALL SELECT n + 1 FROM v", "ddl stable; v:d"},
        {"CREATE INDEX CONCURRENTLY i ON s.a (lower(x)) WHERE y > 1", "ddl stable; s.a:d"},
        {"CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()", "ddl immutable; a:d"},
        {"CREATE RULE r AS ON INSERT TO a DO INSTEAD DELETE FROM b", "ddl immutable; a:d"},
        {"CREATE POLICY p ON a USING (owner = current_user)", "ddl stable; a:d"},
        {"CREATE STATISTICS st ON x, y FROM a", "ddl immutable; a:d"},
        {"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC DELETE FROM a; SELECT 1; END", "ddl immutable"},
        {"CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN END $$", "ddl immutable"},
        {"CREATE SCHEMA s CREATE TABLE a (id int) CREATE VIEW v AS SELECT * FROM b", "ddl immutable; a:d v:d b:r"},
        {"CREATE TYPE t AS (a int)", "ddl immutable"},
        {"CREATE TYPE t AS ENUM ('a')", "ddl immutable"},
        {"CREATE DOMAIN d AS int CHECK (value > 0)", "ddl stable"},
        {"CREATE EXTENSION hstore", "ddl immutable"},
        {"CREATE ROLE r PASSWORD 'secret'", "ddl immutable"},
        {"CREATE DATABASE d", "ddl immutable"},
        {"CREATE PUBLICATION p FOR TABLE a, s.b WHERE (x > 1)", "ddl stable; a:d s.b:d"},
        {"CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", "ddl immutable"},
        {"CREATE AGGREGATE g (int) (sfunc = f, stype = int)", "ddl immutable"},
        {"CREATE OPERATOR + (leftarg = a, rightarg = b, procedure = f)", "ddl immutable"},
        {"CREATE CAST (a AS b) WITHOUT FUNCTION", "ddl immutable"},
        {"CREATE USER MAPPING FOR u SERVER s", "ddl immutable"},
        {"CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()", "ddl immutable"},
    };
    expect_all(samples);
}

TEST(definitions, alter) {
    const sample samples[] = {
        {"ALTER TABLE a ADD COLUMN x int DEFAULT random(), DROP COLUMN y", "ddl volatile; a:d"},
        {"ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1)", "ddl immutable; p:d p1:d"},
        {"ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b", "ddl immutable; a:d b:d"},
        {"ALTER TABLE a RENAME TO b", "ddl immutable; a:d"},
        {"ALTER TABLE a RENAME COLUMN x TO y", "ddl immutable; a:d"},
        {"ALTER TABLE a SET SCHEMA s", "ddl immutable; a:d"},
        {"ALTER INDEX i RENAME TO j", "ddl immutable"},
        {"ALTER INDEX i SET (fillfactor = 70)", "ddl immutable"},
        {"ALTER SEQUENCE s RESTART", "ddl immutable"},
        {"ALTER SEQUENCE s RENAME TO t", "ddl immutable"},
        {"ALTER VIEW v RENAME TO w", "ddl immutable; v:d"},
        {"ALTER TYPE t ADD VALUE 'x'", "ddl immutable"},
        {"ALTER TYPE t RENAME ATTRIBUTE a TO b", "ddl immutable"},
        {"ALTER TYPE t ADD ATTRIBUTE a int", "ddl immutable"},
        {"ALTER ROLE r SET work_mem = '1MB'", "ddl immutable"},
        {"ALTER DATABASE d SET x = 1", "ddl immutable"},
        {"ALTER SYSTEM SET work_mem = '1MB'", "other unknown writes anywhere"},
        {"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r", "ddl immutable"},
        {"ALTER FUNCTION f() STABLE", "ddl immutable"},
        {"ALTER PUBLICATION p ADD TABLE a", "ddl immutable; a:d"},
        {"ALTER TABLE a OWNER TO r", "ddl immutable; a:d"},
        {"ALTER TRIGGER t ON a RENAME TO u", "ddl immutable; a:d"},
        {"ALTER TABLE ALL IN TABLESPACE x SET TABLESPACE y", "ddl immutable"},
        {"ALTER TABLE a REPLICA IDENTITY FULL", "ddl immutable; a:d"},
        {"ALTER TABLE a DISABLE TRIGGER ALL", "ddl immutable; a:d"},
        {"ALTER MATERIALIZED VIEW m SET SCHEMA s", "ddl immutable; m:d"},
        {"ALTER FOREIGN TABLE f ADD COLUMN x int", "ddl immutable; f:d"},
        {"ALTER SEQUENCE s SET SCHEMA t", "ddl immutable"},
        {"ALTER TYPE t SET SCHEMA s", "ddl immutable"},
        {"ALTER EXTENSION e UPDATE", "ddl immutable"},
        {"ALTER SUBSCRIPTION s DISABLE", "ddl immutable"},
        {"ALTER EVENT TRIGGER e DISABLE", "ddl immutable"},
        {"ALTER STATISTICS s SET STATISTICS 1", "ddl immutable"},
        {"ALTER POLICY p ON a USING (true)", "ddl immutable; a:d"},
        {"ALTER DOMAIN d SET NOT NULL", "ddl immutable"},
        {"ALTER SERVER s OPTIONS (x 'y')", "ddl immutable"},
        {"ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR word WITH simple", "ddl immutable"},
        {"ALTER INDEX i ATTACH PARTITION j", "ddl immutable"},
        {"ALTER INDEX i DEPENDS ON EXTENSION e", "ddl immutable"},
    };
    expect_all(samples);
}

TEST(definitions, drop) {
    const sample samples[] = {
        {"DROP TABLE a, s.b CASCADE", "ddl immutable; a:d s.b:d"},
        {"DROP TABLE IF EXISTS d.s.a", "ddl immutable; s.a:d"},
        {"DROP VIEW v", "ddl immutable; v:d"},
        {"DROP MATERIALIZED VIEW m", "ddl immutable; m:d"},
        {"DROP FOREIGN TABLE f", "ddl immutable; f:d"},
        {"DROP INDEX i", "ddl immutable"},
        {"DROP SEQUENCE s", "ddl immutable"},
        {"DROP FUNCTION f(int)", "ddl immutable"},
        {"DROP TRIGGER t ON s.a", "ddl immutable; s.a:d"},
        {"DROP RULE r ON a", "ddl immutable; a:d"},
        {"DROP POLICY p ON a", "ddl immutable; a:d"},
        {"DROP SCHEMA s CASCADE", "ddl immutable"},
        {"DROP OWNED BY r", "ddl immutable"},
        {"DROP ROLE r", "ddl immutable"},
        {"DROP DATABASE d", "ddl immutable"},
        {"DROP TYPE t", "ddl immutable"},
    };
    expect_all(samples);
}

TEST(definitions, comment_and_grant) {
    const sample samples[] = {
        {"COMMENT ON TABLE a IS 'x'", "ddl immutable"},
        {"SECURITY LABEL ON TABLE a IS 'x'", "ddl immutable"},
        {"GRANT SELECT ON a, s.b TO r", "ddl immutable; a:d s.b:d"},
        {"GRANT USAGE ON SEQUENCE s TO r", "ddl immutable"},
        {"GRANT r TO s", "ddl immutable"},
        {"REVOKE ALL ON ALL TABLES IN SCHEMA s FROM r", "ddl immutable"},
        {"REASSIGN OWNED BY a TO b", "ddl immutable"},
        {"IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y", "ddl immutable"},
    };
    expect_all(samples);
}

TEST(definitions, are_not_what_maintenance_and_locks_are) {
    const sample samples[] = {
        {"VACUUM", "maintenance immutable"},
        {"VACUUM (FULL, ANALYZE) a, s.b (x)", "maintenance immutable; a:d s.b:d"},
        {"ANALYZE a", "maintenance immutable; a:d"},
        {"CLUSTER a USING i", "maintenance immutable; a:d"},
        {"CLUSTER", "maintenance immutable"},
        {"REINDEX TABLE s.a", "maintenance immutable; s.a:d"},
        {"REINDEX INDEX i", "maintenance immutable"},
        {"REINDEX DATABASE d", "maintenance immutable"},
        {"CHECKPOINT", "maintenance immutable"},
        {"LOCK TABLE a, s.b IN ACCESS EXCLUSIVE MODE NOWAIT", "lock immutable; a:l s.b:l"},
        {"LOCK a", "lock immutable; a:l"},
        {"REINDEX SCHEMA s", "maintenance immutable"},
        {"ANALYZE", "maintenance immutable"},
        {"VACUUM FREEZE a", "maintenance immutable; a:d"},
        {"CLUSTER VERBOSE a", "maintenance immutable; a:d"},
    };
    expect_all(samples);
}

}  // namespace
}  // namespace crossfade::sql
