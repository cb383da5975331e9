"""What reads by strategy cost a session, and what they take off legacy.

Two databases with pgbench's tables and a stream between them, and a proxy for each strategy. The ways are measured in
turn, never at once, in several rounds, of which the median counts."""

import argparse
import re
import statistics
import subprocess

from proxy import latencies
from servers import BIN, Servers, free_port, http, pgbench, until

SCALE = 10
ACCOUNT = "\\set aid random(1, 100000 * :scale)\n"
SELECT = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"
UPDATE = "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\n"
HOME = "SELECT now();\n"  # legacy's, and no write
WORKLOADS = {"select": ACCOUNT + SELECT, "to and fro": ACCOUNT + SELECT + HOME,
             "9 in 10": ACCOUNT + 9 * SELECT + UPDATE, "1 in 2": ACCOUNT + SELECT + UPDATE}
# Where there are writes, the session's own hold it back.
WAYS = {"direct": None, "legacy": "legacy", "prefer-modern": "prefer-modern", "modern": "modern"}


def configuration(legacy, modern, kafka, ports, reads, capture):
    return f"""
legacy: {{ dsn: "{legacy.dsn()}" }}
modern: {{ dsn: "{modern.dsn()}" }}
kafka: {{ brokers: "127.0.0.1:{kafka}" }}
stream: {{ name: bench, tables: ["public.pgbench_accounts"] }}
proxy: {{ listen: "127.0.0.1:{ports[0]}", admin: "127.0.0.1:{ports[1]}", capture: {capture} }}
cdc: {{ admin: "127.0.0.1:{ports[2]}" }}
flags: {{ dual_write_strategy: legacy-primary, hybrid_read_strategy: {reads} }}
log: {{ level: warn }}
"""


class Crossfade:
    """The proxies, of which the first one publishes."""

    def __init__(self, servers, legacy, modern):
        kafka = servers.kafka()
        self.port, self.admin = {"direct": legacy.port}, {}
        for way, reads in WAYS.items():
            if reads is None:
                continue
            ports = [free_port() for _ in range(3)]
            first = not self.admin
            config = servers.write(f"{way}.yaml", configuration(legacy, modern, kafka, ports, reads,
                                                                "true" if first else "false"))
            if first:
                done = subprocess.run([BIN / "crossfade", "--config", config, "init"], capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"crossfade init: {done.stdout}{done.stderr}")
                # Both have the same rows already, and nobody knows.
                modern.sql("INSERT INTO crossfade.tables (stream, table_name, state) "
                           "VALUES ('bench', 'public.pgbench_accounts', 'live')")
                servers.crossfade("crossfade-cdc", config, ports[2])
            servers.crossfade("crossfade-proxy", config, ports[1])
            self.port[way], self.admin[way] = ports[0], ports[1]
        for way in ("prefer-modern", "modern"):
            until("marks that are applied", lambda: 0 <= self.sample(way, "crossfade_read_lag_seconds") < 1)

    def sample(self, way, name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", http(self.admin[way], "/metrics") or "", re.M)
        return float(found.group(1)) if found else -1.0

    def counted(self, way):
        """What its metrics say of reads, but for what is nothing."""
        lines = (http(self.admin[way], "/metrics") or "").splitlines()
        return [line for line in lines if re.match(r"crossfade_(reads?|session_detours)_", line) and not line.endswith(" 0")]


def measure(servers, port, script, mode, clients, seconds):
    said = pgbench(port, "-n", "-M", mode, "-f", str(script), "-s", str(SCALE), "-c", str(clients), "-j",
                   str(min(clients, 2)), "-T", str(seconds), "-l", f"--log-prefix={servers.folder}/latency")
    return float(re.search(r"tps = ([\d.]+)", said).group(1)), *latencies(servers.folder)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--clients", type=lambda text: [int(each) for each in text.split(",")], default=[1, 8])
    options.add_argument("--rows", help=argparse.SUPPRESS)  # script/bench --quick, for others
    asked = options.parse_args()
    with Servers() as servers:
        both = [servers.postgres(side, max_connections=200) for side in ("legacy", "modern")]
        for each in both:
            pgbench(each.port, "-i", "-q", "-s", str(SCALE))
        crossfade = Crossfade(servers, *both)
        print(f"{'workload':10} {'mode':10} {'clients':>7} {'way':14} {'tps':>8} {'median':>7} {'99 %':>7}  us")
        for name, text in WORKLOADS.items():
            script = servers.write(f"{name.replace(' ', '_')}.sql", text)
            for mode in ("simple", "prepared"):
                for clients in asked.clients:
                    found = {way: [] for way in WAYS}
                    for _ in range(asked.rounds):
                        for way in WAYS:
                            found[way].append(measure(servers, crossfade.port[way], script, mode, clients, asked.seconds))
                    for way, rounds in found.items():
                        tps, median, worst = (statistics.median(each) for each in zip(*rounds))
                        print(f"{name:10} {mode:10} {clients:7} {way:14} {tps:8.0f} {median:7.0f} {worst:7.0f}", flush=True)
        for way in crossfade.admin:
            print(way, *crossfade.counted(way), sep="\n  ")


if __name__ == "__main__":
    main()
