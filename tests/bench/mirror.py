"""What it costs to have every write in two databases before the client is answered, both of them durable.

Three pairs of databases: one without a stream, for PostgreSQL alone, for the proxy as a mere relay, and for pgpool-II's
native replication; one with it, for Crossfade; and one for the limit, a program that does the same by libpq alone. The
ways are measured in turn, never at once; then all of them at the same rate, a third of what mirror reaches."""

import argparse
import itertools
import re
import shutil
import signal
import statistics
import subprocess

from proxy import latencies
from servers import BIN, Servers, free_port, http, listens, pgbench, until

CLIENTS = (1, 8, 32)
HISTORY = "ALTER TABLE pgbench_history ADD COLUMN id bigserial PRIMARY KEY"  # without a key nothing of it is mirrored
ACCOUNT = "\\set aid random(1, 100000 * :scale)\n\\set delta random(-5000, 5000)\n"
WORKLOADS = {
    "insert": "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1, 1, CURRENT_TIMESTAMP);\n",
    "-N": ACCOUNT + """BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, :delta, CURRENT_TIMESTAMP);
END;
""",
    "TPC-B": ACCOUNT + """\\set bid random(1, :scale)
\\set tid random(1, 10 * :scale)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
""",
}
SCALE = 10
WAYS = ("direct", "relay", "primary", "mirror", "flushed", "stream", "pgpool", "limit")
SHARE = 1 / 3  # of what mirror reaches; the machine isn't saturated then
FLUSHED = "?options=-c%20synchronous_commit%3Don"
DURABLE = {"fsync": "on", "full_page_writes": "on", "max_connections": 200}


def configuration(legacy, modern, kafka, ports, strategy, connections, capture, verified, options=""):
    return f"""
legacy: {{ dsn: "{legacy.dsn()}" }}
modern: {{ dsn: "{modern.dsn()}{options}" }}
kafka: {{ brokers: "127.0.0.1:{kafka}", properties: {{ compression.type: lz4 }} }}
stream: {{ name: bench, tables: ["public.*"] }}
proxy: {{ listen: "127.0.0.1:{ports[0]}", admin: "127.0.0.1:{ports[1]}", mirror_connections: {connections}, capture: {capture} }}
cdc: {{ admin: "127.0.0.1:{ports[2]}", verify_mirrored_percent: {verified} }}
flags: {{ hybrid_mode_enabled: true, dual_write_strategy: {strategy}, hybrid_read_strategy: legacy }}
log: {{ level: warn }}
"""


def pair(servers, name):
    """Two databases with pgbench's tables, equal."""
    both = [servers.postgres(f"{name}-{side}", **DURABLE) for side in ("legacy", "modern")]
    for each in both:
        pgbench(each.port, "-i", "-q", "-s", str(SCALE))
        each.sql(HISTORY)
    return both


def pgpool(servers, legacy, modern):
    port = free_port()
    folder = servers.folder / "pgpool"
    folder.mkdir()
    if servers.user:
        shutil.chown(folder, servers.user["user"])
    config = servers.write("pgpool.conf", f"""
backend_clustering_mode = 'native_replication'
listen_addresses = '127.0.0.1'
port = {port}
pcp_port = {free_port()}
unix_socket_directories = '{folder}'
pcp_socket_dir = '{folder}'
pid_file_name = '{folder}/pid'
logdir = '{folder}'
backend_hostname0 = '127.0.0.1'
backend_port0 = {legacy.port}
backend_hostname1 = '127.0.0.1'
backend_port1 = {modern.port}
num_init_children = 40
max_pool = 1
enable_pool_hba = off
load_balance_mode = off
replicate_select = off
insert_lock = on
sr_check_period = 0
health_check_period = 0
""")
    process = servers.start("pgpool", shutil.which("pgpool") or "/usr/sbin/pgpool", "-n", "-f", config, "-F",
                            servers.write("pcp.conf", ""), "-a", servers.write("pool_hba.conf", ""))
    until("pgpool", lambda: process.check() or listens(port))
    return port


class Crossfade:
    """A stream between the second pair, and a proxy for each way; that of `mirror` publishes."""

    def __init__(self, servers, legacy, modern, verified):
        self.legacy, self.modern = legacy, modern
        kafka = servers.kafka()
        self.port, self.admin = {}, {}
        for way, (strategy, connections) in {"mirror": ("mirror", 32), "flushed": ("mirror", 32), "stream": ("mirror", 0),
                                             "primary": ("legacy-primary", 0)}.items():
            ports = [free_port() for _ in range(3)]
            config = servers.write(f"{way}.yaml", configuration(legacy, modern, kafka, ports, strategy, connections,
                                                                "true" if way == "mirror" else "false", verified,
                                                                FLUSHED if way == "flushed" else ""))
            if way == "mirror":
                done = subprocess.run([BIN / "crossfade", "--config", config, "init"], capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"crossfade init: {done.stdout}{done.stderr}")
                for table in ("accounts", "branches", "tellers"):  # both have them already
                    modern.sql(f"UPDATE crossfade.tables SET state = 'live' WHERE table_name = 'public.pgbench_{table}'")
                servers.crossfade("crossfade-cdc", config, ports[2])
            servers.crossfade("crossfade-proxy", config, ports[1])
            self.port[way], self.admin[way] = ports[0], ports[1]
        for way in ("mirror", "flushed"):
            until("tables that can be mirrored", lambda: self.sample(way, "crossfade_mirror_tables") >= 4)

    def sample(self, way, name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", http(self.admin[way], "/metrics") or "", re.M)
        return float(found.group(1)) if found else 0.0

    def settle(self):
        """Until the stream is applied as far as legacy has come."""
        at = self.legacy.sql("SELECT pg_current_wal_insert_lsn()")
        self.legacy.sql("SELECT pg_logical_emit_message(true, 'bench', 'settled')")
        until("the stream", lambda: self.modern.sql(
            f"SELECT coalesce(bool_and(end_lsn >= '{at}'), false) FROM crossfade.progress") == "t", 600)


def measure(servers, port, script, clients, seconds, rate=0):
    """Transactions a second, and the median and the 99th percentile in microseconds."""
    said = pgbench(port, "-f", str(script), "-s", str(SCALE), "-c", str(clients), "-j", str(min(clients, 2)), "-T",
                   str(seconds), "-l", f"--log-prefix={servers.folder}/latency", *(["-R", str(rate)] if rate else []))
    return float(re.search(r"tps = ([\d.]+)", said).group(1)), *latencies(servers.folder)


class Measurement:
    """A workload, by one way after the other."""

    def __init__(self, servers, ports, options):
        self.servers, self.ports, self.options = servers, ports, options
        self.scripts = {name: servers.write(f"{name.strip('-')}.sql", WORKLOADS[name]) for name in options.workloads}
        self.bare = pair(servers, "bare") if "limit" in options.candidates else None
        self.ways = sorted((*ports, *(("limit",) if self.bare else ())), key=WAYS.index)

    def take(self, way, workload, clients, rate=0):
        if way != "limit":
            return measure(self.servers, self.ports[way], self.scripts[workload], clients, self.options.seconds, rate)
        said = subprocess.run([BIN / "crossfade_bench_mirror_limit", *(each.dsn() for each in self.bare), workload,
                               str(clients), str(self.options.seconds), str(rate)], check=True, stdout=subprocess.PIPE, text=True)
        return tuple(map(float, said.stdout.split()))

    def rounds(self, cells, settle, rates=None):
        """For each cell and way the medians of what was measured."""
        results = {}
        for turn in range(self.options.rounds):
            print(f"round {turn + 1} of {self.options.rounds}: {len(cells) * len(self.ways)} measurements of "
                  f"{self.options.seconds} s", flush=True)
            for cell in cells:
                for way in self.ways:
                    results.setdefault((way, cell), []).append(self.take(way, *cell, rates[cell] if rates else 0))
                    settle(way)
        return {key: tuple(map(statistics.median, zip(*each))) for key, each in results.items()}

    def table(self, title, cell, medians):
        workload, clients = cell
        print(f"\n{workload}, {clients} client{'s' if clients > 1 else ''}, both databases durable{title}")
        print(f"{'':10}{'tps':>9}{'/relay':>9}{'p50':>12}{'added':>12}{'p99':>12}{'/relay':>9}")
        base = medians.get(("relay", cell)) or medians[self.ways[0], cell]
        for way in self.ways:
            tps, p50, p99 = medians[way, cell]
            print(f"{way:10}{tps:9.0f}{tps / base[0]:9.2f}{p50:9.0f} µs{p50 - base[1]:9.0f} µs{p99:9.0f} µs{p99 / base[2]:9.2f}",
                  flush=True)


def without_modern(crossfade, by, cells):
    """What mirror costs while modern is away. pgbench ends with an error if any client sees one."""
    next(each for each in by.servers.started if each.name == "postgres-mirrored-modern").stop(signal.SIGQUIT)
    # The first who waits says that it is late.
    for _ in range(3):
        by.take("mirror", cells[0][0], 1)
    print("\nmodern shut down: transactions a second under mirror, beside legacy-primary")
    for workload, clients in cells:
        rates = {way: [] for way in ("primary", "mirror")}
        for _ in range(max(3, by.options.rounds)):
            for way, found in rates.items():
                found.append(by.take(way, workload, clients)[0])
        primary, mirror = map(statistics.median, rates.values())
        print(f"{workload:8}{clients:3} client{'s' if clients > 1 else ' '}{primary:9.0f}{mirror:9.0f}{mirror / primary:9.2f}", flush=True)


def main():
    def some(known, kind=str):
        return lambda text: [kind(each) for each in text.split(",") if kind(each) in known]

    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--rows", help="for the stream's measurement; nothing here")
    options.add_argument("--workloads", type=some(WORKLOADS), default=list(WORKLOADS))
    options.add_argument("--clients", type=some(CLIENTS, int), default=CLIENTS)
    options.add_argument("--candidates", type=some(WAYS), default=WAYS)
    options.add_argument("--verified", type=int, default=100, metavar="PERCENT", help="cdc.verify_mirrored_percent")
    options = options.parse_args()

    with Servers() as servers:
        plain, mirrored = pair(servers, "plain"), pair(servers, "mirrored")
        crossfade = Crossfade(servers, *mirrored, options.verified)
        relay = [free_port() for _ in range(3)]
        servers.crossfade("crossfade-proxy", servers.write(
            "relay.yaml", configuration(*plain, 9, relay, "legacy-only", 0, "false", 100)), relay[1])
        ports = {"direct": plain[0].port, "relay": relay[0], **crossfade.port}
        if "pgpool" in options.candidates and shutil.which("pgpool", path="/usr/sbin:/usr/bin"):
            ports["pgpool"] = pgpool(servers, *plain)
        ports = {name: port for name, port in ports.items() if name in options.candidates}
        cells = list(itertools.product(options.workloads, options.clients))
        by = Measurement(servers, ports, options)

        def settle(way):
            if way in crossfade.port:
                crossfade.settle()

        medians = by.rounds(cells, settle)
        for cell in cells:
            by.table("", cell, medians)
        if "mirror" in ports:
            print("\nat the same rate for all")
            rates = {cell: round(SHARE * medians["mirror", cell][0]) for cell in cells}
            limited = by.rounds(cells, settle, rates)
            for cell in cells:
                by.table(f", {rates[cell]} transactions a second", cell, limited)
        if {"mirror", "primary"} <= ports.keys():
            without_modern(crossfade, by, cells)
        counted = {name: crossfade.sample("mirror", name) for name in (
            "crossfade_mirror_mirrored_total", 'crossfade_mirror_streamed_total{reason="no_follower"}',
            'crossfade_mirror_streamed_total{reason="refused"}')}
        print("\nby the proxy itself, and left to the stream: "
              + ", ".join(f"{name.removeprefix('crossfade_mirror_')} {count:.0f}" for name, count in counted.items()))


if __name__ == "__main__":
    main()
