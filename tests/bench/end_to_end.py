"""The stream end to end, beside Debezium and PostgreSQL's own logical replication: a backlog drained, by kind of row and of
transaction, with the CPU time and the memory of what carries it; then the lag of a steady stream.

All follow the same legacy database, each into a database of its own on one modern cluster, in turn and never at once. The start
of a follower counts, as it can't be told from its work: it is the larger part of a small backlog's time for the quick ones, so take
a large one. Debezium's worker stays up, so of its start only the connectors' counts, and its code is compiled, as the broker's is:
a backlog is drained by all before anything is measured."""

import argparse
import concurrent.futures
import statistics
import time

from debezium import Debezium
from servers import Servers
from stream import TABLE, WATCH, Crossfade, Native, has, percentile

WIDE = "CREATE TABLE wide (id bigserial PRIMARY KEY, " + ", ".join(
    f"n{i} bigint NOT NULL, t{i} text NOT NULL, d{i} numeric(14,2) NOT NULL, b{i} boolean NOT NULL" for i in range(10)) + ")"
ROW = "INSERT INTO payments (account, amount, note) SELECT n % 1000, n / 100.0, 'payment ' || n FROM generate_series({}, {}) n"
WIDE_ROW = "INSERT INTO wide ({}) SELECT {} FROM generate_series({{}}, {{}}) n".format(
    ", ".join(f"n{i}, t{i}, d{i}, b{i}" for i in range(10)),
    ", ".join(f"n * {i + 1}, repeat(md5((n + {i})::text), 2), n / 7.0, n % {i + 2} = 0" for i in range(10)))
LOOP = "DO $$ BEGIN FOR i IN 1..{} LOOP {}; COMMIT; END LOOP; END $$"
ONE_TRANSACTION = 200000
RATES = (500, 5000)  # commits a second
# One session of the server's own, which keeps to the rate without a round trip for each.
STEADY = """DO $$ DECLARE since timestamptz := clock_timestamp(); ahead float8; BEGIN FOR i IN 1..{count} LOOP
    INSERT INTO payments (account, amount, note) VALUES (1, 2.5, 'steady'); COMMIT;
    ahead := i::float8 / {rate} - extract(epoch FROM clock_timestamp() - since);
    IF ahead > 0.0005 THEN PERFORM pg_sleep(ahead); END IF;
END LOOP; END $$"""


class Shape:
    """A kind of backlog; the newest id of `table` says when it is there."""

    def __init__(self, label, rows, table, write):
        self.label, self.rows, self.table, self.write = label, rows, table, write


def shapes(rows):
    def inserts(legacy):
        legacy.sql(LOOP.format(rows, ROW.format("i", "i")))

    def updates(legacy):
        # Of rows that are there, spread; and one more, by whose arrival the last of them is known to have come.
        legacy.sql(f"DO $$ DECLARE most bigint := (SELECT max(id) FROM payments); BEGIN FOR i IN 1..{rows} LOOP"
                   " UPDATE payments SET amount = amount + 1, note = 'updated ' || i WHERE id = 1 + i * 7919 % most; COMMIT;"
                   " END LOOP; END $$")
        legacy.sql(ROW.format(1, 1))

    return [Shape("one row a transaction", rows, "payments", inserts),
            Shape("updates, one a transaction", rows, "payments", updates),
            Shape(f"one transaction of {ONE_TRANSACTION} rows", ONE_TRANSACTION, "payments",
                  lambda legacy: legacy.sql(ROW.format(1, ONE_TRANSACTION))),
            Shape("wide rows (41 columns, 1 kB), one a transaction", rows // 4, "wide",
                  lambda legacy: legacy.sql(LOOP.format(rows // 4, WIDE_ROW.format("i", "i"))))]


def newest(database, dbname, table):
    return int(database.sql(f"SELECT coalesce(max(id), 0) FROM {table}", dbname))


def cpu(follower):
    return sum(process.cpu_seconds() for process in getattr(follower, "running", []))


def drain(follower, modern, table, target):
    """Seconds, CPU seconds, and MiB at most, from the follower's start to its having the last row."""
    before = cpu(follower)
    since = time.monotonic()
    follower.start()
    modern.wait_until(f"{follower.name} at row {target} of {table}", has(target, table), follower.database, 300)
    took, used = time.monotonic() - since, cpu(follower) - before
    memory = sum(process.memory_mib() for process in getattr(follower, "running", []))
    follower.stop()
    return took, used, memory


def lag(follower, legacy, modern, rate, seconds):
    """Milliseconds from legacy's commit to the row being seen on the follower (one machine, one clock), and the CPU time."""
    legacy.sql(ROW.format(1, 1))
    first = newest(legacy, "app", "payments")
    follower.start()
    modern.wait_until(f"{follower.name} at row {first}", has(first), follower.database, 120)
    # Warm, all of them: the first second isn't looked at.
    warm, last = first + rate, first + rate * (seconds + 1)
    before, since = cpu(follower), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        watching = pool.submit(modern.sql, WATCH.format(first=first, last=last), follower.database)
        legacy.sql(STEADY.format(count=last - first, rate=rate))
        written_in = time.monotonic() - since
        looks = [line.split() for line in watching.result().splitlines()]
    used = cpu(follower) - before
    follower.stop()
    if not looks or int(looks[-1][0]) < last:
        raise SystemExit(f"{follower.name} did not reach row {last}")
    written = legacy.sql("SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM payments "
                         f"WHERE id > {warm} AND id <= {last} ORDER BY id").split()
    lags, look = [], 0
    for row, at in enumerate(written, start=warm + 1):
        while int(looks[look][0]) < row:
            look += 1
        lags.append((float(looks[look][1]) - float(at)) * 1000)
    return sorted(lags), (last - first) / written_in, used / (last - first)


def differing(follower, legacy, modern):
    """How many rows are on one side alone, or different; and one of them, as an example. `at` is left out: Debezium's sink
    takes it through a text of its own."""
    found, example = 0, ""
    for table, columns in (("payments", "id, account, amount, note"), ("wide", "*")):
        question = f"SELECT {columns} FROM {table}"
        here, there = (set(database.sql(question, dbname).splitlines())
                       for database, dbname in ((modern, follower.database), (legacy, "app")))
        for side, rows in (("modern", here - there), ("legacy", there - here)):
            for row in rows:
                found, example = found + 1, f"{example} {side} has {table} {row[:60]};"
    return found, example


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--rows", type=int, default=200000)
    options = options.parse_args()

    with Servers() as servers:
        legacy = servers.postgres("legacy", track_commit_timestamp="on")
        # PostgreSQL's apply worker would wait up to 5 s before it starts again.
        modern = servers.postgres("modern", wal_retrieve_retry_interval="100ms")
        for dbname in ("native", "debezium"):
            modern.sql(f"CREATE DATABASE {dbname}", "postgres")
        for database, dbname in ((legacy, "app"), (modern, "app"), (modern, "native"), (modern, "debezium")):
            database.sql(TABLE.format(table="payments") + WIDE, dbname)
        tables = ["payments", "wide"]
        ours = Crossfade(servers, legacy, modern, tables)
        followers = [Native(servers, legacy, modern, tables), ours,
                     Debezium(servers, legacy, modern, ours.kafka, tables)]

        # A broker that has just begun would compile itself on whoever comes first.
        print("warming up", flush=True)
        legacy.sql(LOOP.format(options.rows, ROW.format("i", "i")))
        target = newest(legacy, "app", "payments")
        for follower in followers:
            drain(follower, modern, "payments", target)

        starts, runs, lags = {}, {}, {}
        for turn in range(options.rounds):
            order = followers if turn % 2 == 0 else followers[::-1]
            for shape in shapes(options.rows):
                print(f"round {turn + 1} of {options.rounds}: {shape.label}", flush=True)
                legacy.sql((WIDE_ROW if shape.table == "wide" else ROW).format(1, 1))
                target = newest(legacy, "app", shape.table)
                for follower in order:
                    starts.setdefault(follower.name, []).append(drain(follower, modern, shape.table, target))
                shape.write(legacy)
                target = newest(legacy, "app", shape.table)
                for follower in order:
                    took, used, memory = drain(follower, modern, shape.table, target)
                    runs.setdefault((shape.label, follower.name), []).append((shape.rows, took, used, memory))
            for rate in RATES:
                print(f"round {turn + 1} of {options.rounds}: {rate} commits/s", flush=True)
                for follower in order:
                    lags.setdefault((rate, follower.name), []).append(
                        lag(follower, legacy, modern, rate, options.seconds))
            legacy.sql(ROW.format(1, 1))
            target = newest(legacy, "app", "payments")
            for follower in order:
                drain(follower, modern, "payments", target)
                found, example = differing(follower, legacy, modern)
                if found and follower.name == "crossfade":
                    raise SystemExit(f"modern doesn't hold what legacy holds ({example[:400]}); its speed is no matter")
                if found:
                    print(f"{follower.name}: {found} rows are not as on legacy: {example[:400]}", flush=True)

        middle = {}
        for (label, name), measured in runs.items():
            rows, took, used, memory = (statistics.median(each) for each in zip(*measured))
            middle[label, name] = rows / took, used / rows * 1e6, memory
        print(f"\n{'a backlog, end to end':50}{'PostgreSQL':>12}{'crossfade':>12}{'Debezium':>12}{'to Debezium':>13}")
        for shape in shapes(options.rows):
            native, ours, theirs = (middle[shape.label, follower.name] for follower in followers)
            print(f"{shape.label}\n{'  rows/s':50}{native[0]:12.0f}{ours[0]:12.0f}{theirs[0]:12.0f}{ours[0] / theirs[0]:12.1f}x")
            print(f"{'  CPU a row, µs':50}{'':12}{ours[1]:12.1f}{theirs[1]:12.1f}{ours[1] / theirs[1]:12.2f}x")
            print(f"{'  memory at most, MiB':50}{'':12}{ours[2]:12.0f}{theirs[2]:12.0f}{ours[2] / theirs[2]:12.2f}x")
        print(f"{'(of each, the start with a backlog of one row, s)':50}" + "".join(
            f"{statistics.median(run[0] for run in starts[follower.name]):12.2f}" for follower in followers))
        print(f"\n{'commit to visible':50}{'PostgreSQL':>12}{'crossfade':>12}{'Debezium':>12}")
        for rate in RATES:
            print(f"{rate} commits/s")
            for label, share in (("median, ms", 0.5), ("p99, ms", 0.99)):
                print(f"{'  ' + label:50}" + "".join(
                    f"{statistics.median(percentile(run[0], share) for run in lags[rate, follower.name]):12.1f}"
                    for follower in followers))
            print(f"{'  (written at, commits/s)':50}" + "".join(
                f"{statistics.median(run[1] for run in lags[rate, follower.name]):12.0f}" for follower in followers))
            print(f"{'  CPU a row, µs':50}{'':12}" + "".join(
                f"{statistics.median(run[2] for run in lags[rate, follower.name]) * 1e6:12.0f}" for follower in followers[1:]))


if __name__ == "__main__":
    main()
