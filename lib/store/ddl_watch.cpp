#include "lib/store/ddl_watch.hpp"

#include "lib/store/ties.hpp"

namespace crossfade::store {

std::string_view ddl_watch_sql() {
    return R"sql(
CREATE SCHEMA IF NOT EXISTS crossfade;

CREATE TABLE IF NOT EXISTS crossfade.ddl_streams (
    stream      text        PRIMARY KEY,
    publication name        NOT NULL,
    tables      text[]      NOT NULL,          -- patterns of LIKE
    policy      text        NOT NULL CHECK (policy IN ('note', 'pause', 'pass', 'refuse')),
    secret      bytea       NOT NULL DEFAULT sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS crossfade.ddl_partitions (
    relation oid  PRIMARY KEY,
    root     oid  NOT NULL
);
-- Whoever runs DDL comes by on_ddl to note_ddl; the tables are for their owner alone.
GRANT USAGE ON SCHEMA crossfade TO PUBLIC;

-- Anybody may emit a message: what is under the seal was said by whoever knows the secret.
CREATE OR REPLACE FUNCTION crossfade.say_ddl(secret bytea, document jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $say$
DECLARE
    body bytea := convert_to(document::text, 'UTF8');
BEGIN
    PERFORM pg_logical_emit_message(true, 'crossfade.ddl', body || convert_to(
        E'\n' || encode(sha256(secret || sha256(secret || body)), 'hex'), 'UTF8'));
    -- A message of a subtransaction, which on_ddl's is, is decoded as if it stood where it ends: level with the change that
    -- comes next, and perhaps after it (logicalmsg_decode, https://doxygen.postgresql.org/decode_8c_source.html). So
    -- something that nobody reads comes next.
    PERFORM pg_logical_emit_message(true, 'spacer', '');
END
$say$;

-- Of what is published by the name of the whole, PostgreSQL leaves TRUNCATE of a part out (pgoutput_truncate,
-- https://doxygen.postgresql.org/pgoutput_8c_source.html), so that it is said here: which rows are gone, as the part's
-- constraint has it. AFTER, on parts. A TRUNCATE of what a part is of is in the stream, and has nothing added to it:
-- BEFORE, on what has parts, notes those that are to be silent. What fails here fails the TRUNCATE, which would be lost.
CREATE OR REPLACE FUNCTION crossfade.on_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $truncate$
DECLARE
    silent    text[] := coalesce(string_to_array(nullif(current_setting('crossfade.truncating', true), ''), ' '), '{}');
    whole     record;
    bound     text;
    statement text := current_query();
    most      constant int := 65536;
BEGIN
    IF tg_when = 'BEFORE' THEN
        PERFORM set_config('crossfade.truncating', array_to_string(silent || ARRAY(
            SELECT t.relid::oid::text FROM pg_partition_tree(tg_relid) t
            WHERE t.relid <> tg_relid AND t.relid::oid::text <> ALL (silent)), ' '), true);
        RETURN NULL;
    END IF;
    IF tg_relid::text = ANY (silent) THEN
        PERFORM set_config('crossfade.truncating', array_to_string(array_remove(silent, tg_relid::text), ' '), true);
        RETURN NULL;
    END IF;
    bound := coalesce(pg_get_partition_constraintdef(tg_relid), 'true');
    -- Of a hash that names what it is a part of by a number, which is another one on the other side.
    FOR whole IN SELECT relid FROM pg_partition_ancestors(tg_relid) LOOP
        bound := replace(bound, format('satisfies_hash_partition(''%s''::oid', whole.relid::oid),
                         format('satisfies_hash_partition(%L::regclass', whole.relid::text));
    END LOOP;
    FOR whole IN
        SELECT s.stream, s.policy, s.secret, n.nspname, c.relname FROM crossfade.ddl_streams s
        CROSS JOIN LATERAL (
            SELECT a.relid FROM pg_partition_ancestors(tg_relid) WITH ORDINALITY a (relid, height)
            JOIN pg_publication_rel r ON r.prrelid = a.relid JOIN pg_publication p ON p.oid = r.prpubid
            WHERE p.pubname = s.publication ORDER BY a.height DESC LIMIT 1) published
        JOIN pg_class c ON c.oid = published.relid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid <> tg_relid ORDER BY s.stream
    LOOP
        PERFORM crossfade.say_ddl(whole.secret, jsonb_build_object(
            'version', 1, 'stream', whole.stream, 'event', 'truncate', 'tag', 'TRUNCATE TABLE',
            'xid', pg_current_xact_id()::xid::text,
            'policy', CASE whole.policy WHEN 'refuse' THEN 'pause' ELSE whole.policy END,
            'tables', jsonb_build_array(jsonb_build_object(
                'schema', whole.nspname, 'name', whole.relname, 'what', 'partition emptied',
                'object', format('%I.%I', tg_table_schema, tg_table_name), 'rows', bound)),
            'rewritten', false, 'direct', false, 'whole', length(statement) <= most, 'statement', left(statement, most),
            'search_path', to_jsonb(current_schemas(false)), 'role', session_user));
    END LOOP;
    RETURN NULL;
END
$truncate$;

-- Has a table's TRUNCATE noticed: a published one's that has parts, or a part's. A right of its owner's, and of superusers.
CREATE OR REPLACE FUNCTION crossfade.watch_truncate(part oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $watch$
DECLARE
    was  constant text := current_setting('crossfade.fencing', true);
    each record;
BEGIN
    PERFORM set_config('crossfade.fencing', 'on', true);
    FOR each IN SELECT t.name, t.timing FROM pg_class c
        JOIN (VALUES ('crossfade_truncate_whole', 'BEFORE', true), ('crossfade_truncate', 'AFTER', false)) AS t (name, timing, is_whole)
        ON CASE WHEN t.is_whole THEN c.relkind = 'p' ELSE c.relispartition END
        WHERE c.oid = part AND c.relkind IN ('r', 'p')
        AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = t.name AND g.tgenabled = 'A') LOOP
        IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = part AND tgname = each.name) THEN
            EXECUTE format('CREATE TRIGGER %I %s TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION crossfade.on_truncate()',
                           each.name, each.timing, part::regclass);
        END IF;
        -- Under session_replication_role = replica, too, as the event triggers.
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', part::regclass, each.name);
    END LOOP;
    PERFORM set_config('crossfade.fencing', coalesce(was, ''), true);
END
$watch$;

-- What is published by the name of the whole is sent as the whole's identity has it: UPDATE and DELETE in a part that has
-- another one are refused, or a key is taken for a whole row. PostgreSQL doesn't hand it on to parts that come later, but for
-- a primary key. All values will do for any. A right of the part's owner's, and of superusers.
CREATE OR REPLACE FUNCTION crossfade.identify_by_all(part oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $identify$
DECLARE
    was constant text := current_setting('crossfade.fencing', true);
BEGIN
    PERFORM set_config('crossfade.fencing', 'on', true);
    EXECUTE format('ALTER TABLE ONLY %s REPLICA IDENTITY FULL', part::regclass);
    PERFORM set_config('crossfade.fencing', coalesce(was, ''), true);
END
$identify$;

-- Runs with the rights of its owner: reads the catalog and the policy, emits the message. Useless to call but by an
-- event trigger.
CREATE OR REPLACE FUNCTION crossfade.note_ddl(event text, tag text, direct bool, path name[], by name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $note$
DECLARE
    watched   record;
    touched   jsonb;
    rewritten bool;
    parts     oid[];
    unlike    oid[];
    part      oid;
    statement text := current_query();
    most      constant int := 65536;
BEGIN
    -- The fence of a flip (authority.hpp), which changes no row.
    IF current_setting('crossfade.fencing', true) = 'on' THEN
        RETURN;
    END IF;
    -- What is published isn't asked of pg_publication_tables: from PostgreSQL 16 on it opens each of the tables, waits for
    -- whoever has one locked, and fails where one is dropped meanwhile.
    FOR watched IN SELECT s.*, (SELECT oid FROM pg_publication WHERE pubname = s.publication) AS published_by
        FROM crossfade.ddl_streams s WHERE tag NOT IN ('COMMENT', 'SECURITY LABEL', 'REINDEX') ORDER BY stream LOOP
        IF event = 'sql_drop' THEN
            SELECT jsonb_agg(DISTINCT jsonb_build_object('schema', gone.of_schema, 'name', gone.of_name, 'what', gone.what,
                                                         'object', gone.identity))
            INTO touched
            FROM (
                -- A published table: it leaves its publication with it.
                SELECT d.schema_name AS of_schema, d.object_name AS of_name, 'dropped' AS what, d.object_identity AS identity
                FROM pg_event_trigger_dropped_objects() d
                WHERE d.object_type = 'table' AND EXISTS (
                    SELECT FROM pg_event_trigger_dropped_objects() r
                    WHERE r.object_type = 'publication relation' AND r.address_names = ARRAY[d.schema_name, d.object_name]
                      AND r.address_args = ARRAY[watched.publication::text])
                UNION ALL
                SELECT n.nspname, c.relname, 'partition dropped', d.object_identity
                FROM pg_event_trigger_dropped_objects() d JOIN crossfade.ddl_partitions p ON p.relation = d.objid
                JOIN pg_class c ON c.oid = p.root JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_publication_rel t ON t.prrelid = c.oid
                WHERE d.object_type = 'table' AND t.prpubid = watched.published_by
                UNION ALL
                -- By CASCADE; those that ALTER TABLE drops are its own affair.
                SELECT n.nspname, c.relname, 'column dropped', d.object_identity
                FROM pg_event_trigger_dropped_objects() d JOIN pg_class c ON c.oid = d.objid
                JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_publication_rel t ON t.prrelid = c.oid
                WHERE d.object_type = 'table column' AND tag <> 'ALTER TABLE' AND t.prpubid = watched.published_by
            ) gone;
            rewritten := false;
        ELSE
            WITH seen AS (
                SELECT d.objid, d.object_type, d.object_identity
                FROM pg_event_trigger_ddl_commands() d WHERE d.classid = 'pg_class'::regclass AND d.object_type NOT LIKE '%sequence%'
                UNION
                SELECT a.attrelid, d.object_type, d.object_identity
                FROM pg_event_trigger_ddl_commands() d JOIN pg_type y ON y.oid = d.objid
                JOIN pg_attribute a ON a.atttypid IN (y.oid, y.typarray)
                WHERE d.classid = 'pg_type'::regclass AND d.command_tag LIKE 'ALTER%'
            ), named AS (
                SELECT coalesce(i.indrelid, s.objid) AS oid, s.object_type, s.object_identity
                FROM seen s LEFT JOIN pg_index i ON i.indexrelid = s.objid
            ), tables AS (
                TABLE named
                UNION
                -- Of a table that others inherit from these are rewritten as well, and nobody names them.
                SELECT r.oid, 'table', r.oid::regclass::text
                FROM unnest(string_to_array(btrim(current_setting('crossfade.rewritten', true)), ' ')::oid[]) AS r (oid)
                WHERE NOT EXISTS (SELECT FROM named n WHERE n.oid = r.oid OR n.oid IN (SELECT relid FROM pg_partition_ancestors(r.oid)))
            ), placed AS (
                SELECT t.*, published.oid AS root, c.relispartition AS part, n.nspname, c.relname
                FROM tables t JOIN pg_class c ON c.oid = t.oid AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
                JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname <> 'crossfade'
                LEFT JOIN LATERAL (
                    SELECT a.oid FROM (
                        SELECT t.oid, 0 AS height
                        UNION SELECT relid, height FROM pg_partition_ancestors(t.oid) WITH ORDINALITY AS above (relid, height)) a
                    JOIN pg_publication_rel p ON p.prrelid = a.oid
                    WHERE p.prpubid = watched.published_by ORDER BY a.height DESC LIMIT 1
                ) published ON true
            ), kept AS (
                INSERT INTO crossfade.ddl_partitions (relation, root)
                SELECT DISTINCT m.relid, p.root FROM placed p CROSS JOIN LATERAL pg_partition_tree(p.root) m
                WHERE p.root IS NOT NULL AND m.relid <> p.root
                  AND NOT EXISTS (SELECT FROM crossfade.ddl_partitions k WHERE k.relation = m.relid)
                ON CONFLICT DO NOTHING RETURNING relation
            ), unlike AS (
                -- A primary key of the whole is one of each part, too. Those that the command, or one before it, has locked
                -- already: nobody is waited for.
                SELECT DISTINCT c.oid FROM placed p JOIN pg_class w ON w.oid = p.root AND NOT (w.relreplident = 'd'
                     AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = w.oid AND i.indisprimary AND i.indimmediate))
                CROSS JOIN LATERAL pg_partition_tree(p.root) m
                JOIN pg_class c ON c.oid = m.relid AND c.oid <> w.oid AND c.relkind IN ('r', 'p') AND c.relreplident <> 'f'
                     AND NOT (c.relreplident = 'i' AND w.relreplident = 'i')
                WHERE (SELECT count(*) > 0 FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = c.oid
                       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                       AND l.pid = pg_backend_pid() AND l.mode = 'AccessExclusiveLock')
            )
            SELECT (SELECT array_agg(relation) FROM kept), (SELECT array_agg(oid) FROM unlike), jsonb_agg(jsonb_build_object(
                       'schema', n.nspname, 'name', c.relname, 'object', p.object_identity,
                       'what', CASE WHEN p.root IS NULL THEN 'new' WHEN p.object_type LIKE '%index%' THEN 'index'
                                    WHEN p.oid <> p.root AND tag LIKE 'CREATE%' THEN 'partition'
                                    WHEN p.oid <> p.root THEN 'partition altered'
                                    WHEN tag LIKE 'CREATE%' THEN 'created' ELSE 'altered' END,
                       'columns', (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
                                   FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                                   AND a.attgenerated = ''),
                       -- IF NOT EXISTS leaves those as they are that were there. A subtransaction's number is greater.
                       'fresh', (SELECT jsonb_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                                 AND NOT a.attisdropped AND age(a.xmin) <= age(pg_current_xact_id()::xid)))),
                   -- Of a table that has parts these are rewritten.
                   coalesce(bool_or(EXISTS (
                       SELECT FROM unnest(string_to_array(btrim(current_setting('crossfade.rewritten', true)), ' ')::oid[]) AS r (oid)
                       WHERE r.oid = p.oid OR p.oid IN (SELECT relid FROM pg_partition_ancestors(r.oid)))), false)
            INTO parts, unlike, touched, rewritten
            FROM placed p JOIN pg_class c ON c.oid = coalesce(p.root, p.oid) JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE p.root IS NOT NULL
               OR (tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO') AND p.object_type = 'table' AND NOT p.part
                   AND (p.nspname || '.' || p.relname) LIKE ANY (watched.tables));
        END IF;
        CONTINUE WHEN touched IS NULL;

        IF watched.policy = 'refuse' AND coalesce(current_setting('crossfade.ddl', true), '') <> 'allow'
           AND EXISTS (SELECT FROM jsonb_array_elements(touched) t WHERE t ->> 'what' NOT IN ('new', 'index', 'partition', 'created')) THEN
            RAISE EXCEPTION USING ERRCODE = 'XF001',
                MESSAGE = format('%s of %s is refused: its rows are carried by Crossfade''s stream %s', tag,
                                 (SELECT string_agg(DISTINCT (t ->> 'schema') || '.' || (t ->> 'name'), ', ')
                                  FROM jsonb_array_elements(touched) t), watched.stream),
                HINT = 'Change modern first. Then, in the transaction that changes legacy: SET LOCAL crossfade.ddl = ''allow''';
        END IF;

        PERFORM crossfade.say_ddl(watched.secret, jsonb_build_object(
            'version', 1, 'stream', watched.stream, 'event', event, 'tag', tag, 'xid', pg_current_xact_id()::xid::text,
            -- Who was let through a refusal is to make sure of modern as under pause.
            'policy', CASE watched.policy WHEN 'refuse' THEN 'pause' ELSE watched.policy END,
            'tables', touched, 'rewritten', rewritten, 'direct', direct, 'whole', length(statement) <= most,
            'statement', left(statement, most), 'search_path', to_jsonb(path), 'role', by));
        CONTINUE WHEN event = 'sql_drop';
        FOREACH part IN ARRAY coalesce(unlike, '{}') LOOP
            BEGIN
                PERFORM crossfade.identify_by_all(part);
            EXCEPTION
                WHEN OTHERS THEN
                    RAISE WARNING USING ERRCODE = sqlstate,
                        MESSAGE = format('Crossfade could not give partition %s REPLICA IDENTITY FULL: %s', part::regclass, sqlerrm),
                        HINT = 'crossfade init makes up for it.';
            END;
        END LOOP;
        CONTINUE WHEN parts IS NULL;
        -- Those that have come just now; they are the command's already, and nobody is waited for.
        BEGIN
            FOREACH part IN ARRAY parts LOOP
                PERFORM crossfade.watch_truncate(part);
            END LOOP;
        EXCEPTION
            WHEN OTHERS THEN
                RAISE WARNING USING ERRCODE = sqlstate,
                    MESSAGE = format('Crossfade does not notice TRUNCATE of partition %s: %s', part::regclass, sqlerrm),
                    HINT = 'crossfade init makes up for it.';
        END;
    END LOOP;
    IF event = 'sql_drop' THEN
        DELETE FROM crossfade.ddl_partitions p USING pg_event_trigger_dropped_objects() d WHERE d.objid = p.relation;
    ELSE
        PERFORM set_config('crossfade.rewritten', '', true);
    END IF;
END
$note$;

-- Runs with the rights of whoever runs the DDL, and sees what he sees. A command that nothing called has a stack of one line.
CREATE OR REPLACE FUNCTION crossfade.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $on$
DECLARE
    stack text;
BEGIN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    PERFORM crossfade.note_ddl(tg_event, tg_tag, pg_catalog.strpos(stack, E'\n') OPERATOR(pg_catalog.=) 0,
                               pg_catalog.current_schemas(false), current_user);
EXCEPTION
    WHEN SQLSTATE 'XF001' THEN
        RAISE;
    WHEN OTHERS THEN
        RAISE WARNING USING ERRCODE = sqlstate, MESSAGE = 'Crossfade could not note this command: ' OPERATOR(pg_catalog.||) sqlerrm;
END
$on$;

-- The rows of a table that is rewritten are not in the stream.
CREATE OR REPLACE FUNCTION crossfade.on_rewrite() RETURNS event_trigger LANGUAGE plpgsql AS $rewrite$
BEGIN
    -- 2 and 4: by a default, by a column's type. The others leave every value as it is.
    IF pg_catalog.pg_event_trigger_table_rewrite_reason() OPERATOR(pg_catalog.&) 6 OPERATOR(pg_catalog.<>) 0 THEN
        PERFORM pg_catalog.set_config('crossfade.rewritten', pg_catalog.concat_ws(' ',
            pg_catalog.current_setting('crossfade.rewritten', true), pg_catalog.pg_event_trigger_table_rewrite_oid()::pg_catalog.oid), true);
    END IF;
EXCEPTION
    WHEN OTHERS THEN
        RAISE WARNING USING ERRCODE = sqlstate, MESSAGE = 'Crossfade could not note this rewrite: ' OPERATOR(pg_catalog.||) sqlerrm;
END
$rewrite$;

DO $watch$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT * FROM (VALUES ('crossfade_ddl_command_end', 'ddl_command_end', 'on_ddl'),
                                      ('crossfade_sql_drop', 'sql_drop', 'on_ddl'),
                                      ('crossfade_table_rewrite', 'table_rewrite', 'on_rewrite')) AS t (name, event, function) LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtname = each.name) THEN
            EXECUTE format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION crossfade.%I()', each.name, each.event, each.function);
        END IF;
        -- Under session_replication_role = replica, too: another tool's DDL changes the tables no less.
        EXECUTE format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', each.name);
    END LOOP;
END
$watch$;
)sql";
}

std::string_view watch_stream_sql() {
    return "INSERT INTO crossfade.ddl_streams AS s (stream, publication, tables, policy)"
           " VALUES ($1::text, $2::name, $3::text[], $4::text) ON CONFLICT (stream) DO UPDATE"
           " SET publication = excluded.publication, tables = excluded.tables, policy = excluded.policy, updated_at = "
           "now()"
           " RETURNING encode(secret, 'hex')";
}

std::string_view note_partitions_sql() {
    return "INSERT INTO crossfade.ddl_partitions (relation, root)"
           " SELECT m.relid, m.root FROM (SELECT t.relid, r.prrelid AS root"
           " FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid"
           " CROSS JOIN LATERAL pg_partition_tree(r.prrelid) t WHERE p.pubname = $1::name) m WHERE m.relid <> m.root"
           " ON CONFLICT DO NOTHING";
}

std::string unwatched_truncates_sql() {
    return "SELECT c.oid::bigint, c.oid::regclass::text FROM " +
           parts_sql(
               "(SELECT r.prrelid FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid"
               " WHERE p.pubname = $1::name)") +
           " AS t JOIN pg_class c ON c.oid = t.part AND c.relkind IN ('r', 'p')"
           " WHERE (SELECT count(*) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgenabled = 'A'"
           " AND g.tgname IN ('crossfade_truncate', 'crossfade_truncate_whole'))"
           " < c.relispartition::int + (c.relkind = 'p')::int ORDER BY 1";
}

std::string_view keep_seal_sql() {
    return "INSERT INTO crossfade.ddl_seals (stream, secret) VALUES ($1::text, decode($2::text, 'hex'))"
           " ON CONFLICT (stream) DO UPDATE SET secret = excluded.secret";
}

std::string_view count_watches_sql() {
    return "SELECT count(*) FROM pg_event_trigger WHERE evtenabled = 'A'"
           " AND evtname IN ('crossfade_ddl_command_end', 'crossfade_sql_drop', 'crossfade_table_rewrite')";
}

}  // namespace crossfade::store
