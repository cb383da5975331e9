"""pgbench through each proxy: what it costs the client, and what it costs the machine."""

import argparse
import collections
import itertools
import re
import shutil
import statistics

from servers import Servers, free_port, pgbench

WORKLOADS = ("-S", "-N")
PROTOCOLS = ("simple", "extended", "prepared")
CLIENTS = (1, 8, 64)
ENCRYPTIONS = ("disable", "require")


class Sample:
    """What one run of pgbench says, and the proxy's CPU microseconds a transaction (None where there is no proxy)."""

    def __init__(self, folder, port, process, workload, protocol, clients, encryption, seconds):
        before = process.cpu_seconds() if process else 0
        said = pgbench(port, workload, "-M", protocol, "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds),
                       "-l", f"--log-prefix={folder}/latency", encryption=encryption)
        done = max(1, int(re.search(r"actually processed: (\d+)", said).group(1)))
        self.tps = float(re.search(r"tps = ([\d.]+)", said).group(1))
        self.cpu = (process.cpu_seconds() - before) / done * 1e6 if process else None
        self.p50, self.p99 = latencies(folder)


def latencies(folder):
    """The median and the 99th percentile in microseconds, of pgbench's own log (one line a transaction)."""
    counts = collections.Counter()
    for path in folder.glob("latency.*"):
        with open(path, "rb") as lines:
            counts.update(line.split(b" ", 3)[2] for line in lines)
        path.unlink()
    total, seen, found = sum(counts.values()), 0, []
    for latency in sorted(counts, key=int):
        seen += counts[latency]
        while len(found) < 2 and seen >= total * (0.5, 0.99)[len(found)]:
            found.append(int(latency))
    return found if found else (0, 0)


def configuration(database, listen, admin, strategy, certificate, busy_poll=0):
    return f"""
legacy: {{ dsn: "{database.dsn()}?sslmode=disable" }}
modern: {{ dsn: "{database.dsn('postgres')}?sslmode=disable" }}
kafka: {{ brokers: "127.0.0.1:9" }}
stream: {{ name: bench, tables: ["public.*"] }}
proxy:
  listen: "127.0.0.1:{listen}"
  admin: "127.0.0.1:{admin}"
  capture: false
  busy_poll_us: {busy_poll}
  tls: {{ mode: prefer, cert_file: "{certificate[0]}", key_file: "{certificate[1]}" }}
flags: {{ hybrid_mode_enabled: true, dual_write_strategy: {strategy}, hybrid_read_strategy: legacy }}
log: {{ level: warn }}
"""


def start(servers, database, certificate, wanted):
    """Each candidate's port, and its process where there is one between the client and the database."""
    def crossfade(strategy, busy_poll=0):
        listen, admin = free_port(), free_port()
        config = servers.write(f"{strategy}-{busy_poll}.yaml",
                               configuration(database, listen, admin, strategy, certificate, busy_poll))
        return listen, servers.crossfade("crossfade-proxy", config, admin)

    ways = {
        "direct": lambda: (database.port, None),
        "pgbouncer": lambda: servers.pgbouncer(database, certificate),
        "haproxy": lambda: servers.haproxy(database),
        "odyssey": lambda: servers.odyssey(database, certificate),
        "crossfade": lambda: crossfade("legacy-only"),
        "primary": lambda: crossfade("legacy-primary"),
        "busy": lambda: crossfade("legacy-only", busy_poll=200),
    }
    return {name: way() for name, way in ways.items()
            if name in wanted and (name != "odyssey" or shutil.which("odyssey"))}


def report(results, candidates, options):
    for encryption, clients, workload in itertools.product(options.tls, options.clients, options.workloads):
        print(f"\npgbench {workload}, {clients} client{'s' if clients > 1 else ''}, "
              f"{'in the clear' if encryption == 'disable' else 'TLS'}")
        print(f"{'protocol':10}{'':12}{'tps':>9}{'/direct':>9}{'p50':>9}{'added':>9}{'p99':>10}{'proxy CPU':>12}")
        for protocol in options.protocols:
            medians = {}
            for name in candidates:
                samples = results[name, workload, protocol, clients, encryption]
                medians[name] = {what: statistics.median(getattr(each, what) for each in samples)
                                 for what in ("tps", "p50", "p99", "cpu") if getattr(samples[0], what) is not None}
            first = next(iter(medians.values()))
            for name, of in medians.items():
                print(f"{protocol:10}{name:12}{of['tps']:9.0f}{of['tps'] / first['tps']:9.2f}{of['p50']:6.0f} µs"
                      f"{of['p50'] - first['p50']:6.0f} µs{of['p99']:7.0f} µs"
                      + (f"{of['cpu']:7.1f} µs/t" if "cpu" in of else ""))


def main():
    def some(known, kind=str):
        return lambda text: [kind(each) for each in text.split(",") if kind(each) in known]

    candidates = ("direct", "pgbouncer", "haproxy", "odyssey", "crossfade", "primary", "busy")
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--rows", help="for the stream's measurement; nothing here")
    options.add_argument("--workloads", type=some(WORKLOADS), default=WORKLOADS)
    options.add_argument("--protocols", type=some(PROTOCOLS), default=PROTOCOLS)
    options.add_argument("--clients", type=some(CLIENTS, int), default=CLIENTS)
    options.add_argument("--tls", type=some(ENCRYPTIONS), default=ENCRYPTIONS)
    options.add_argument("--candidates", type=some(candidates), default=candidates)
    options = options.parse_args()

    with Servers() as servers:
        certificate = servers.certificate()
        database = servers.postgres("legacy", ssl="on", ssl_cert_file=certificate[0], ssl_key_file=certificate[1],
                                    max_connections=500)
        pgbench(database.port, "-i", "-q", "-s", "10")
        running = start(servers, database, certificate, options.candidates)
        cells = list(itertools.product(options.workloads, options.protocols, options.clients, options.tls))
        results = {}
        for turn in range(options.rounds):
            print(f"round {turn + 1} of {options.rounds}: {len(cells) * len(running)} measurements of "
                  f"{options.seconds} s", flush=True)
            # Each cell goes round all candidates before the next begins, so that a slow minute is everybody's.
            for cell in cells:
                for name, (port, process) in running.items():
                    results.setdefault((name, *cell), []).append(
                        Sample(servers.folder, port, process, *cell, options.seconds))
        report(results, running, options)


if __name__ == "__main__":
    main()
