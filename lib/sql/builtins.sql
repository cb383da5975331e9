-- Writes down what PostgreSQL itself brings, from a freshly made database of PostgreSQL 15. From the project's root:
--   psql -XAtq -f lib/sql/builtins.sql postgres
-- A name stands for all functions or operators of that name; the most volatile one counts.
CREATE TEMP VIEW judged_functions AS
SELECT proname AS name, max(CASE
    -- Marked stable, and yet they give the transaction an xid,
    WHEN proname IN ('pg_current_xact_id', 'txid_current') THEN 3
    -- or read tables that the statement doesn't name.
    WHEN proname ~ '^(table|schema|database)_to_xml' THEN 3
    WHEN provolatile = 'i' THEN 1
    WHEN provolatile = 's' THEN 2
    ELSE 3 END) AS rank
FROM pg_catalog.pg_proc
-- SQL can't call what takes `internal`; a call by such a name means somebody else's function.
WHERE pronamespace = 'pg_catalog'::regnamespace AND NOT 'internal'::regtype = ANY (proargtypes::oid[])
GROUP BY proname;

CREATE TEMP VIEW judged_operators AS
SELECT oprname AS name, max(array_position('{i,s,v}', provolatile::text)) AS rank
FROM pg_catalog.pg_operator JOIN pg_catalog.pg_proc ON pg_proc.oid = oprcode
WHERE oprnamespace = 'pg_catalog'::regnamespace
GROUP BY oprname;

CREATE FUNCTION pg_temp.entry(name name, rank int) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s("%s")', ('{immutable,stable,volatile_}'::text[])[rank], name)
$$;

\o lib/sql/builtin_functions.inc
SELECT pg_temp.entry(name, rank) FROM judged_functions ORDER BY name COLLATE "C";
\o lib/sql/builtin_operators.inc
SELECT pg_temp.entry(name, rank) FROM judged_operators ORDER BY name COLLATE "C";

-- Tables and views of the catalogs, with what later versions have added, and those of extensions that tell of their
-- server.
\o lib/sql/builtin_relations.inc
SELECT format('"%s",', name) FROM (
    SELECT relname::text FROM pg_catalog.pg_class
    WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
    UNION
    VALUES ('pg_stat_io'), ('pg_stat_checkpointer'), ('pg_wait_events'), ('pg_aios'), ('pg_shmem_allocations_numa'),
           ('pg_buffercache'), ('pg_buffercache_numa'), ('pg_stat_statements'), ('pg_stat_statements_info')
) AS relations (name) ORDER BY name COLLATE "C";
