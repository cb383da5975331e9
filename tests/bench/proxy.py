"""pgbench through each proxy: what it costs the client, and what it costs the machine."""

import argparse
import itertools
import re
import statistics

from servers import Servers, free_port, pgbench

WORKLOADS = ("-S", "-N")
PROTOCOLS = ("simple", "extended", "prepared")
CLIENTS = (1, 8)


def measure(port, process, workload, protocol, clients, seconds):
    """Transactions a second, milliseconds each, and the proxy's CPU microseconds each (None where there is no proxy)."""
    before = process.cpu_seconds() if process else 0
    said = pgbench(port, workload, "-M", protocol, "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds))
    done = max(1, int(re.search(r"actually processed: (\d+)", said).group(1)))
    return (float(re.search(r"tps = ([\d.]+)", said).group(1)),
            float(re.search(r"latency average = ([\d.]+)", said).group(1)),
            (process.cpu_seconds() - before) / done * 1e6 if process else None)


def configuration(database, listen, admin):
    return f"""
legacy: {{ dsn: "{database.dsn()}" }}
modern: {{ dsn: "{database.dsn('postgres')}" }}
kafka: {{ brokers: "127.0.0.1:9" }}
stream: {{ name: bench, tables: ["public.*"] }}
proxy: {{ listen: "127.0.0.1:{listen}", admin: "127.0.0.1:{admin}", capture: false }}
flags: {{ hybrid_mode_enabled: true, dual_write_strategy: legacy-only, hybrid_read_strategy: legacy }}
log: {{ level: warn }}
"""


def report(results, candidates):
    for clients, workload in itertools.product(CLIENTS, WORKLOADS):
        print(f"\npgbench {workload}, {clients} client{'s' if clients > 1 else ''}")
        print(f"{'protocol':10}{'':12}{'tps':>10}{'/direct':>9}{'latency':>11}{'added':>10}{'proxy CPU':>13}")
        for protocol in PROTOCOLS:
            medians = {}
            for name in candidates:
                samples = results[name, workload, protocol, clients]
                medians[name] = [statistics.median(column) if column[0] is not None else None for column in zip(*samples)]
            for name, (tps, latency, cpu) in medians.items():
                direct = medians["direct"]
                print(f"{protocol:10}{name:12}{tps:10.0f}{tps / direct[0]:9.2f}{latency * 1000:8.0f} µs"
                      f"{(latency - direct[1]) * 1000:7.0f} µs" + (f"{cpu:8.1f} µs/t" if cpu is not None else ""))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--rows", help="for the stream's measurement; nothing here")
    options = options.parse_args()

    with Servers() as servers:
        database = servers.postgres("legacy")
        pgbench(database.port, "-i", "-q", "-s", "10")
        listen, admin = free_port(), free_port()
        config = servers.write("crossfade.yaml", configuration(database, listen, admin))
        candidates = {
            "direct": (database.port, None),
            "pgbouncer": servers.pgbouncer(database),
            "haproxy": servers.haproxy(database),
            "crossfade": (listen, servers.crossfade("crossfade-proxy", config, admin)),
        }
        cells = list(itertools.product(WORKLOADS, PROTOCOLS, CLIENTS))
        results = {}
        for turn in range(options.rounds):
            print(f"round {turn + 1} of {options.rounds}: {len(cells) * len(candidates)} measurements of "
                  f"{options.seconds} s", flush=True)
            # Each cell goes round all candidates before the next begins, so that a slow minute is everybody's.
            for cell in cells:
                for name, (port, process) in candidates.items():
                    results.setdefault((name, *cell), []).append(measure(port, process, *cell, options.seconds))
        report(results, candidates)


if __name__ == "__main__":
    main()
