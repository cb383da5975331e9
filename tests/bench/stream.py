"""The stream beside PostgreSQL's own logical replication: how fast a backlog drains, and how far a follower is behind.

Both follow the same legacy database, into two databases of one modern cluster, in turn and never at once."""

import argparse
import concurrent.futures
import statistics
import subprocess
import time

from servers import BIN, POSTGRES, Servers, free_port, pgbench, until

TABLE = """
CREATE TABLE {table} (id bigserial PRIMARY KEY, account bigint NOT NULL, amount numeric(12,2) NOT NULL,
                      note text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
"""
ROW = "INSERT INTO {table} (account, amount, note) SELECT n % 1000, n / 100.0, 'payment ' || n FROM generate_series(1, {rows}) n"
COMMITS = 300  # a second, of the steady stream
SHAPES = {"one row a transaction": 1, "1000 rows a transaction": 1000}


def configuration(legacy, modern, kafka, ports, tables):
    return f"""
legacy: {{ dsn: "{legacy.dsn()}" }}
modern: {{ dsn: "{modern.dsn()}" }}
kafka: {{ brokers: "127.0.0.1:{kafka}", properties: {{ compression.type: lz4 }} }}
stream: {{ name: bench, tables: [{', '.join(f'"public.{table}"' for table in tables)}] }}
proxy: {{ listen: "127.0.0.1:{ports[0]}", admin: "127.0.0.1:{ports[1]}" }}
cdc: {{ admin: "127.0.0.1:{ports[2]}" }}
flags: {{ hybrid_mode_enabled: true, dual_write_strategy: legacy-primary, hybrid_read_strategy: legacy }}
log: {{ level: warn }}
"""


class Crossfade:
    """crossfade-proxy publishes, crossfade-cdc applies, through a Kafka broker."""

    name, database = "crossfade", "app"

    def __init__(self, servers, legacy, modern, tables):
        self.servers, self.running, self.kafka = servers, [], servers.kafka()
        self.ports = [free_port() for _ in range(3)]
        self.config = servers.write("crossfade.yaml", configuration(legacy, modern, self.kafka, self.ports, tables))
        done = subprocess.run([BIN / "crossfade", "--config", self.config, "init"], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"crossfade init: {done.stdout}{done.stderr}")

    def start(self):
        self.start_proxy()
        self.start_cdc()

    def start_proxy(self):
        self.running.append(self.servers.crossfade("crossfade-proxy", self.config, self.ports[1]))

    def start_cdc(self):
        self.running.append(self.servers.crossfade("crossfade-cdc", self.config, self.ports[2]))

    def stop(self):
        for process in reversed(self.running):
            process.stop()
        self.running = []


class Native:
    """CREATE SUBSCRIPTION, with a slot of its own on the same legacy database."""

    name, database = "PostgreSQL", "native"

    def __init__(self, _, legacy, modern, tables):
        self.modern = modern
        legacy.sql(f"CREATE PUBLICATION native FOR TABLE {', '.join(tables)}")
        legacy.sql("SELECT pg_create_logical_replication_slot('native', 'pgoutput')")
        modern.sql(f"CREATE SUBSCRIPTION native CONNECTION '{legacy.dsn()}' PUBLICATION native "
                   "WITH (copy_data = false, create_slot = false, enabled = false, slot_name = 'native')", self.database)

    def start(self):
        self.modern.sql("ALTER SUBSCRIPTION native ENABLE", self.database)

    def stop(self):
        self.modern.sql("ALTER SUBSCRIPTION native DISABLE", self.database)
        until("the native apply worker's end", lambda: self.modern.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'logical replication worker'"
            " AND datname = 'native' AND application_name NOT LIKE '%launcher%'", self.database) == "0")


def newest(database, dbname):
    return int(database.sql("SELECT coalesce(max(id), 0) FROM payments", dbname))


def has(target, table="payments"):
    return f"(SELECT coalesce(max(id), 0) >= {target} FROM {table})"


def digest(database, dbname):
    return database.sql("SELECT count(*), md5(string_agg(p::text, ',' ORDER BY id)) FROM payments p", dbname)


def write_backlog(legacy, rows, per_transaction):
    """Commits of the given size, without one round trip each."""
    legacy.sql(f"DO $$ BEGIN FOR i IN 1..{rows // per_transaction} LOOP\n"
               f"{ROW.format(table='payments', rows=per_transaction)}; COMMIT; END LOOP; END $$")
    return newest(legacy, "app")


def drain(follower, modern, target):
    """Seconds from the start of the follower to its having the last row."""
    since = time.monotonic()
    follower.start()
    modern.wait_until(f"{follower.name} at row {target}", has(target), follower.database)
    return time.monotonic() - since


def start_up(follower, legacy, modern):
    """Seconds for a backlog of one row: what `drain` spends on starting."""
    seconds = drain(follower, modern, write_backlog(legacy, 1, 1))
    follower.stop()
    return seconds


def decode_alone(legacy):
    """Seconds that pg_recvlogical takes for what is in its slot, thrown away."""
    end = legacy.sql("SELECT pg_current_wal_flush_lsn()")
    since = time.monotonic()
    subprocess.run([POSTGRES / "pg_recvlogical", "--dbname", legacy.dsn(), "--slot", "alone", "--start", "--no-loop",
                    "--endpos", end, "--file", "/dev/null", "--option", "proto_version=1",
                    "--option", "publication_names=native"], check=True, capture_output=True)
    return time.monotonic() - since


def publish(crossfade, legacy, end):
    """Seconds from the proxy's holding the slot to all of the WAL up to `end` being in Kafka, and confirmed."""
    slot = "SELECT {} FROM pg_replication_slots WHERE slot_name = 'crossfade_bench'"
    crossfade.start_proxy()
    until("the proxy holds the slot", lambda: legacy.sql(slot.format("active")) == "t", 60, 0.001)
    since = time.monotonic()
    legacy.wait_until("everything in Kafka", '(' + slot.format(f"confirmed_flush_lsn >= '{end}'") + ')')
    return time.monotonic() - since


def by_parts(crossfade, legacy, modern, target, end):
    """Seconds from WAL to Kafka, and from Kafka to the follower, one after the other; the latter from the first row."""
    captured = publish(crossfade, legacy, end)
    crossfade.stop()
    first = newest(modern, crossfade.database)
    crossfade.start_cdc()
    modern.wait_until("the first row on the follower", has(first + 1), crossfade.database)
    # All at once, as in --quick: then nothing is measured, but it has been shown to run.
    begun, since = min(newest(modern, crossfade.database), target - 1), time.monotonic()
    cpu = crossfade.running[-1].cpu_seconds()
    modern.wait_until("everything on the follower", has(target), crossfade.database)
    applied = time.monotonic() - since
    cpu = crossfade.running[-1].cpu_seconds() - cpu
    crossfade.stop()
    return captured, applied * (target - first) / (target - begun), cpu / (target - begun)


# The follower's server looks at itself every half millisecond. The commit timestamps that it keeps won't do: an apply
# under a replication origin may set the source's.
WATCH = """
CREATE TEMP TABLE seen (id bigint, at timestamptz);
DO $$ DECLARE newest bigint; known bigint := {first}; until timestamptz := clock_timestamp() + '120 s'; BEGIN
    WHILE known < {last} AND clock_timestamp() < until LOOP
        SELECT max(id) INTO newest FROM payments;
        IF newest > known THEN INSERT INTO seen VALUES (newest, clock_timestamp()); known := newest; END IF;
        PERFORM pg_sleep(0.0005);
    END LOOP;
END $$;
SELECT id || ' ' || extract(epoch FROM at) FROM seen ORDER BY id;
"""


def lag(servers, follower, legacy, modern, seconds):
    """Milliseconds from legacy's commit to the row being seen on the follower (one machine, one clock)."""
    first = write_backlog(legacy, 1, 1)
    drain(follower, modern, first)
    last = first + COMMITS * seconds
    with concurrent.futures.ThreadPoolExecutor() as pool:
        watching = pool.submit(modern.sql, WATCH.format(first=first, last=last), follower.database)
        script = servers.write("write.sql", "INSERT INTO payments (account, amount, note) VALUES (1, 2.5, 'steady');\n")
        # One client, so that the order of ids is that of commits.
        pgbench(legacy.port, "-f", str(script), "-R", str(COMMITS), "-c", "1", "-t", str(last - first))
        looks = [line.split() for line in watching.result().splitlines()]
    follower.stop()
    if not looks or int(looks[-1][0]) < last:
        raise SystemExit(f"{follower.name} did not reach row {last}")
    written = legacy.sql("SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM payments "
                         f"WHERE id > {first} AND id <= {last} ORDER BY id").split()
    lags, look = [], 0
    for row, at in enumerate(written, start=first + 1):
        while int(looks[look][0]) < row:
            look += 1
        lags.append((float(looks[look][1]) - float(at)) * 1000)
    return sorted(lags)


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--rows", type=int, default=50000)
    options = options.parse_args()

    with Servers() as servers:
        legacy = servers.postgres("legacy", track_commit_timestamp="on")
        # PostgreSQL's apply worker would wait up to 5 s before it starts again.
        modern = servers.postgres("modern", wal_retrieve_retry_interval="100ms")
        modern.sql("CREATE DATABASE native", "postgres")
        for database, dbname in ((legacy, "app"), (modern, "app"), (modern, "native")):
            database.sql(TABLE.format(table="payments"), dbname)
        followers = [part(servers, legacy, modern, ["payments"]) for part in (Native, Crossfade)]

        legacy.sql("SELECT pg_create_logical_replication_slot('alone', 'pgoutput')")
        rates, lags, starts, parts = {}, {}, {}, {}
        for turn in range(options.rounds):
            for shape, per_transaction in SHAPES.items():
                # One backlog for both: each has a slot of its own, and reads it in its turn.
                for follower in followers:
                    starts.setdefault(follower.name, []).append(start_up(follower, legacy, modern))
                print(f"round {turn + 1} of {options.rounds}: {options.rows} rows, {shape}", flush=True)
                target = write_backlog(legacy, options.rows, per_transaction)
                for follower in followers if turn % 2 == 0 else reversed(followers):
                    seconds = drain(follower, modern, target)
                    follower.stop()
                    rates.setdefault((follower.name, shape), []).append(options.rows / seconds)
                # Nothing else is in this slot then, either; and what it takes for nothing is taken off.
                decode_alone(legacy)
                nothing = decode_alone(legacy)
                target = write_backlog(legacy, options.rows, per_transaction)
                # No later: what others write to the WAL is confirmed when the next heartbeat is.
                end = legacy.sql("SELECT pg_current_wal_insert_lsn()")
                alone = decode_alone(legacy) - nothing
                seconds = drain(followers[0], modern, target) - starts[followers[0].name][-1]
                followers[0].stop()
                parts.setdefault(shape, []).append((alone, seconds, *by_parts(followers[1], legacy, modern, target, end)))
            print(f"round {turn + 1} of {options.rounds}: steady stream", flush=True)
            for follower in followers if turn % 2 == 0 else reversed(followers):
                lags.setdefault(follower.name, []).append(lag(servers, follower, legacy, modern, options.seconds))
            settled = write_backlog(legacy, 1, 1)
            for follower in followers:
                drain(follower, modern, settled)
                follower.stop()
            for follower in followers:
                if digest(modern, follower.database) != digest(legacy, "app"):
                    raise SystemExit(f"{follower.name}: modern doesn't hold what legacy holds; its speed is no matter")

        print(f"\n{'a backlog of ' + str(options.rows) + ' rows':40}{'PostgreSQL':>14}{'crossfade':>14}{'ratio':>8}")
        for shape in SHAPES:
            native, ours = (statistics.median(rates[follower.name, shape]) for follower in followers)
            print(f"{shape + ', rows/s':40}{native:14.0f}{ours:14.0f}{ours / native:8.2f}")
        native, ours = (statistics.median(starts[follower.name]) for follower in followers)
        print(f"{'(of that, starting up, s)':40}{native:14.2f}{ours:14.2f}")
        print(f"\n{'part by part, rows/s':24}{'pg_recvlogical':>15}{'capture':>10}{'ratio':>7}"
              f"{'PostgreSQL':>13}{'apply':>10}{'ratio':>7}{'CPU':>12}")
        for shape, runs in parts.items():
            alone, native, captured, applied, cpu = (statistics.median(each) for each in zip(*runs))
            print(f"{shape:24}{options.rows / alone:15.0f}{options.rows / captured:10.0f}{alone / captured:7.2f}"
                  f"{options.rows / native:13.0f}{options.rows / applied:10.0f}{native / applied:7.2f}{cpu * 1e6:7.1f} µs/r")
        print(f"\n{f'{COMMITS} commits/s, commit to visible':40}{'PostgreSQL':>14}{'crossfade':>14}")
        for label, share in (("median, ms", 0.5), ("p99, ms", 0.99), ("worst, ms", 1.0)):
            native, ours = (statistics.median(percentile(run, share) for run in lags[follower.name]) for follower in followers)
            print(f"{label:40}{native:14.1f}{ours:14.1f}")


if __name__ == "__main__":
    main()
