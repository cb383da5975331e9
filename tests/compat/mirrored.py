"""PostgreSQL's own tests under `mirror`: their tables are made while they run, so each that has a key gets its like on modern,
and is captured, by an event trigger of the suite's own. `captured` is the control: the same database, without the proxy."""

import re

from rig import ROOT, Failed, Rig, Version, free_port, http, needed, until

DATABASE = "regression"
USER = "tester"  # whose name is no schema's: "$user" is first in search_path, and `crossfade` is there
KAFKA = ROOT / "build/kafka/libs"
LEAST = 10  # transactions whose rows the proxy wrote itself; with fewer nothing is shown about that way

# As pg_regress makes its database.
LIKE_PG_REGRESS = "".join(f"ALTER DATABASE {DATABASE} SET {name} TO '{value}';\n" for name, value in {
    "lc_messages": "C", "lc_monetary": "C", "lc_numeric": "C", "lc_time": "C", "bytea_output": "hex",
    "timezone_abbreviations": "Default"}.items())

# What modern can't have, as it would need the application's own types, it goes without: such rows become dead letters.
TWINS = """
CREATE SCHEMA suite;
CREATE FUNCTION suite.make_twins() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
DECLARE
    made record;
    twin text;
BEGIN
    FOR made IN
        SELECT DISTINCT c.oid, c.relname, i.indkey::int2[] AS key
          FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass
          JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary AND i.indimmediate
         WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
           AND NOT EXISTS (SELECT FROM pg_publication_rel p WHERE p.prrelid = c.oid)
    LOOP
        SELECT format('DROP TABLE IF EXISTS public.%1$I; CREATE TABLE public.%1$I (%2$s, PRIMARY KEY (%3$s));', made.relname,
                      string_agg(format('%I %s%s', attname, CASE WHEN atttypid < 16384 THEN format_type(atttypid, atttypmod) ELSE 'text' END,
                                        CASE WHEN attgenerated <> '' THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(adbin, adrelid)) END),
                                 ', ' ORDER BY attnum),
                      string_agg(quote_ident(attname), ', ' ORDER BY array_position(made.key, attnum)) FILTER (WHERE attnum = ANY (made.key)))
          INTO twin FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE attrelid = made.oid AND attnum > 0 AND NOT attisdropped;
        EXECUTE format('COPY (SELECT %L) TO PROGRAM %L', twin, '@PSQL@');
        EXECUTE format('ALTER PUBLICATION @PUBLICATION@ ADD TABLE %s', made.oid::regclass);
    END LOOP;
END $body$;
CREATE EVENT TRIGGER suite_make_twins ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION suite.make_twins();
"""


class MirroredRig(Rig):
    """With a server for modern, of another version where that is wanted; the tests' database is there before they are."""

    def __init__(self, major, modern, programs):
        super().__init__(major, programs)
        self.modern, self.admin = modern, None
        self.regress_options = ("--use-existing", f"--dbname={DATABASE}", f"--user={USER}")

    def database(self, **settings):
        for each in (super(), self.modern):
            each.database(**settings)
        self.sql(f"CREATE DATABASE {DATABASE} TEMPLATE template0", "postgres")
        self.sql(LIKE_PG_REGRESS + f"CREATE ROLE {USER} SUPERUSER LOGIN", "postgres")

    def prepare(self, listen, admin):
        """What `crossfade init` makes, and the twins."""
        self.config = self.write("crossfade.yaml", f"""
legacy: {{ dsn: "postgresql://crossfade@127.0.0.1:{self.port}/{DATABASE}" }}
modern: {{ dsn: "postgresql://crossfade@127.0.0.1:{self.modern.port}/modern" }}
kafka: {{ brokers: "127.0.0.1:{self.kafka(self.readable(KAFKA))}" }}
stream: {{ name: app, tables: ["public.*"] }}
proxy: {{ listen: "127.0.0.1:{listen}", admin: "127.0.0.1:{admin}", mirror_timeout: 10s }}
cdc: {{ admin: "127.0.0.1:{free_port()}" }}
flags: {{ hybrid_mode_enabled: true, dual_write_strategy: mirror, hybrid_read_strategy: legacy }}
""")
        # A publication needs a table.
        for where, dbname in ((self, DATABASE), (self.modern, "modern")):
            where.sql("CREATE TABLE public.captured (id int PRIMARY KEY, body text)", dbname)
        self.init(self.config)
        psql = (f"PGOPTIONS='-c lock_timeout=5s' {needed(Version(15).clients / 'psql')} -Xq -h 127.0.0.1 -p {self.modern.port} "
                f"-U crossfade modern >{self.folder}/twins.log 2>&1 || true")
        self.sql(TWINS.replace("@PSQL@", psql.replace("'", "''")).replace("@PUBLICATION@", "crossfade_app"), DATABASE)

    def route(self, name):
        listen, admin = free_port(), free_port()
        self.prepare(listen, admin)
        if name == "captured":
            return self.port
        self.admin = admin
        self.start("crossfade-cdc", needed(self.programs / "crossfade-cdc"), "--config", self.config, user={})
        self.start("crossfade-proxy", needed(self.programs / "crossfade-proxy"), "--config", self.config, user={})
        until("crossfade-proxy", lambda: self.check() or self.counted("crossfade_mirror_tables") >= 1)
        return listen

    def counted(self, metric):
        """The sum over a metric's labels, as the proxy has it."""
        found = re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", http(self.admin, "/metrics") or "", re.MULTILINE)
        return sum(map(float, found))

    def account(self, at_least):
        """What the proxy did with the tests' writes; a run that had next to none of the rows shows nothing."""
        if self.admin is None:
            return
        said = http(self.admin, "/metrics") or ""
        for line in re.findall(r"^crossfade_mirror_(?:mirrored|streamed|waits)_total.*$", said, re.MULTILINE):
            print(line)
        if (mirrored := self.counted("crossfade_mirror_mirrored_total")) < at_least:
            raise Failed(f"only {mirrored:.0f} transactions were mirrored row by row")
