"""A table copied from legacy to modern: by COPY alone, by `crossfade backfill` (the stream held) and by `crossfade backfill
--live` (beside the stream), without load and while an application changes its rows."""

import argparse
import statistics
import subprocess
import time

from servers import BIN, POSTGRES, Servers, until
from stream import ROW, TABLE, Crossfade, digest

COMMITS = 500  # a second, of the application
CHANGES = """
\\set id random(1, {rows})
\\set kind random(1, 4)
\\if :kind = 1
INSERT INTO payments (account, amount, note) VALUES (1, 2.5, 'new');
\\elif :kind = 2
DELETE FROM payments WHERE id = :id;
\\else
UPDATE payments SET amount = amount + 1 WHERE id = :id;
\\endif
"""


def seconds(what):
    since = time.monotonic()
    what()
    return time.monotonic() - since


def by_copy(legacy, modern):
    modern.sql("TRUNCATE plain")

    def copy():
        psql = [POSTGRES / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1"]
        out = subprocess.Popen([*psql, "-d", legacy.dsn(), "-c", "COPY payments TO STDOUT"], stdout=subprocess.PIPE)
        subprocess.run([*psql, "-d", modern.dsn(), "-c", "COPY plain FROM STDIN"], stdin=out.stdout, check=True)
        if out.wait():
            raise SystemExit("COPY failed")
    return seconds(copy)


def by_crossfade(config, *options):
    def copy():
        done = subprocess.run([BIN / "crossfade", "--config", config, "backfill", *options], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"crossfade backfill: {done.stdout}{done.stderr}")
    return seconds(copy)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3, help="not used")
    options.add_argument("--rows", type=int, default=1_000_000)
    options = options.parse_args()

    with Servers() as servers:
        legacy, modern = servers.postgres("legacy"), servers.postgres("modern")
        for database, table in ((legacy, "payments"), (modern, "payments"), (modern, "plain")):
            database.sql(TABLE.format(table=table))
        legacy.sql(ROW.format(table="payments", rows=options.rows) + "; ANALYZE payments")
        crossfade = Crossfade(servers, legacy, modern, ["payments"])
        crossfade.start()
        script = servers.write("changes.sql", CHANGES.format(rows=options.rows))
        took = {}
        for turn in range(options.rounds):
            for load in (0, COMMITS):
                print(f"round {turn + 1} of {options.rounds}: {options.rows} rows, {load} changes/s", flush=True)
                application = None
                if load:
                    application = servers.start("pgbench", POSTGRES / "pgbench", "-n", "-h", "127.0.0.1", "-p",
                                                crossfade.ports[0], "-U", "crossfade", "-f", script, "-R", load, "-c", 4,
                                                "-T", 3600, "app")
                for name, copy in (("COPY alone", lambda: by_copy(legacy, modern)),
                                   ("backfill", lambda: by_crossfade(crossfade.config)),
                                   ("backfill --live", lambda: by_crossfade(crossfade.config, "--live", "--again"))):
                    took.setdefault((load, name), []).append(copy())
                if application:
                    application.check()
                    application.stop()
        until("what legacy holds on modern", lambda: digest(modern, "app") == digest(legacy, "app"), 60, 1)
        if modern.sql("SELECT count(*) FROM crossfade.drift") != "0":
            raise SystemExit("there is drift")

        print(f"\n{str(options.rows) + ' rows':24}{'s':>8}{'rows/s':>10}{'COPY':>8}")
        for (load, name), runs in took.items():
            ours, alone = statistics.median(runs), statistics.median(took[load, "COPY alone"])
            print(f"{name + (', ' + str(load) + '/s' if load else ''):24}{ours:8.1f}{options.rows / ours:10.0f}{alone / ours:8.2f}")
        crossfade.stop()


if __name__ == "__main__":
    main()
