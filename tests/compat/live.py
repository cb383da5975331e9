"""Clients that live through flips: pools of real drivers, psql, pgbench. Each says what was acknowledged, how long it took, and what failed."""

import collections
import os
import re
import signal
import subprocess
import threading
import time

from drivers import JDBC, PYTHON, SOURCES
from landscape import ITEMS
from rig import FETCHED, PASSWORD, USER, Version, clean_environment, end_with_us, needed

SHOWN = 60
THINKS = 0.01  # between two transactions, as the drivers' programs do
ZONE = "Asia/Tokyo"


class Client:
    """One that runs. `now` names what goes on in the landscape, for an error's sake."""

    size = None  # how many connections it needs, if it counts those that it makes
    listens = False

    def __init__(self, name, tenant, world, now):
        self.name, self.tenant, self.world, self.now = name, tenant, world, now
        self.done = {}  # (worker, number): when it was acknowledged
        self.heard = set()  # likewise, of notifications
        self.errors, self.said, self.opened = [], collections.deque(maxlen=SHOWN), 0
        self.longest = self.longest_ever = 0.0
        self.child, self.lock = None, threading.Lock()

    def environment(self):
        return clean_environment(PGHOST="127.0.0.1", PGPORT=str(self.world.listen), PGUSER=USER, PGPASSWORD=PASSWORD, PGDATABASE="app",
                                 PGSSLMODE="disable", PGOPTIONS=f"-c app.tenant={self.tenant}", LC_ALL="C.UTF-8", POOL_CLIENT=self.name,
                                 POOL_TENANT=self.tenant, POOL_CHANNEL="sales_" + self.name.replace("-", "_"),
                                 NODE_PATH=str(FETCHED / "npm/node_modules"), **self.world.version.library_path())

    def psql(self):
        return self.world.version.clients / "psql"

    def spawn(self, command, **more):
        return subprocess.Popen(list(map(str, command)), env=self.environment(), cwd=self.world.folder, text=True, preexec_fn=end_with_us,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)

    def acknowledged(self, worker, number, milliseconds):
        with self.lock:
            self.done[worker, number] = self.now()
            self.longest = max(self.longest, milliseconds)
            self.longest_ever = max(self.longest_ever, milliseconds)

    def failed(self, what):
        self.errors.append(f"{self.name}, {self.now()}: {what}")

    def count(self):
        return len(self.done)

    def unheard(self):
        """Orders notify, notes don't. One that ends with the program hasn't the time to."""
        sent = {key: when for key, when in self.done.items() if self.listens and key[1] % 2 and when != "at the end"}
        return collections.Counter(when for key, when in sent.items() if key not in self.heard)

    def take_longest(self):
        with self.lock:
            taken, self.longest = self.longest, 0.0
        return taken

    def kill(self):
        """Whatever has become of it."""
        if self.child and self.child.poll() is None:
            self.child.kill()
            self.child.wait()


class Pool(Client):
    """A driver's program, which says a line for each event: drivers/python/pool.py."""

    def __init__(self, name, *arguments, command, listens):
        super().__init__(name, *arguments)
        self.listens, self.size = listens, 3 + listens
        self.child = self.spawn(command())
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "done":
                worker, number, milliseconds = rest.split()
                self.acknowledged(int(worker), int(number), float(milliseconds))
            elif word == "opened":
                self.opened += 1
            elif word == "heard":
                self.heard.add(tuple(map(int, rest.split())))
            elif word == "failed":
                self.failed(rest)
            else:
                self.said.append(line.rstrip("\n"))

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.failed("it did not end within 60 s")
            self.kill()
        self.reader.join(timeout=10)
        if self.child.returncode:
            self.failed(f"it ended with {self.child.returncode}: " + " | ".join(self.said))


def order(client, worker, number, tenant):
    """The statements that write an order; the last one reads that of before."""
    return [f"SELECT taken FROM stock WHERE tenant = '{tenant}' AND item = {number % ITEMS};",
            f"WITH o AS (INSERT INTO orders (client, tenant, worker, number) VALUES ('{client}', '{tenant}', {worker}, {number}) RETURNING id) "
            f"INSERT INTO lines (tenant, order_id, body) SELECT '{tenant}', id, n FROM o, unnest(ARRAY['one', 'two']) n;",
            f"UPDATE stock SET taken = taken + 1 WHERE tenant = '{tenant}' AND item = {number % ITEMS};",
            f"SELECT 'seen ' || count(*) FROM orders WHERE client = '{client}' AND worker = {worker} AND number = {number - 2};"]


def note(client, worker, number, tenant):
    return f"INSERT INTO notes (client, tenant, worker, number) VALUES ('{client}', '{tenant}', {worker}, {number});"


class InTurns(Client):
    """One transaction after the other, by a thread of ours."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.stopping = threading.Event()
        self.worker = threading.Thread(target=self.work, daemon=True)
        self.worker.start()

    def work(self):
        try:
            self.prepare()
            number = 0
            while not self.stopping.wait(THINKS):
                number += 1
                since = time.monotonic()
                if self.transact(number):
                    self.acknowledged(0, number, (time.monotonic() - since) * 1000)
            self.finish()
        except Exception as error:  # of the thread: nobody else would hear of it
            self.failed(f"{type(error).__name__}: {error} | " + " | ".join(list(self.said)[-5:]))

    def prepare(self):
        pass

    def finish(self):
        pass

    def end(self):
        self.stopping.set()
        self.worker.join(timeout=60)
        if self.worker.is_alive():
            self.failed("it did not end within 60 s")
        self.kill()


class Psql(InTurns):
    """A session of psql that somebody types into, with a prepared statement, settings and LISTEN."""

    listens = True
    OPENING = [r"\set VERBOSITY verbose", f"SET app.client = 'psql'; SET TimeZone = '{ZONE}'; LISTEN sales_psql;"]

    def prepare(self):
        self.child = self.spawn([self.psql(), "-XqAt"])
        prepared = note("psql", 0, "$1", self.tenant).replace("INSERT", "PREPARE note (int) AS INSERT", 1)
        self.ask([*self.OPENING, prepared])

    def ask(self, lines):
        """What psql says until it has carried out the lines, without what notifications come."""
        self.child.stdin.write("\n".join([*lines, r"\echo that was all", ""]))
        self.child.stdin.flush()
        said = []
        for line in self.child.stdout:
            self.said.append(line.rstrip("\n"))
            if line == "that was all\n":
                return said
            if line.startswith("Asynchronous notification"):
                self.heard.add((0, int(re.search(r'payload "(\d+)"', line)[1])))
            else:
                said.append(line.rstrip("\n"))
        raise EOFError("psql has gone")

    def transact(self, number):
        if number % 2 == 0:
            lines, expected = [f"EXECUTE note ({number});"], []
        else:
            lines = ["BEGIN;", "SET LOCAL lock_timeout = '30s';", "SELECT current_setting('app.client') || ' ' || current_setting('TimeZone');",
                     *order("psql", 0, number, self.tenant), f"NOTIFY sales_psql, '{number}';", "COMMIT;"]
            expected = [f"psql {ZONE}", None, f"seen {int(number > 2)}"]
        said = self.ask(lines)
        if len(said) != len(expected) or any(want not in (None, got) for want, got in zip(expected, said)):
            self.failed(" | ".join(said) + f", where {expected} was expected")
            return False
        return True

    def finish(self):
        self.child.stdin.close()
        if self.child.wait(timeout=20):
            self.failed(f"psql ended with {self.child.returncode}")


class PsqlEach(InTurns):
    """psql -c, one after the other: each logs in, at any moment of a flip."""

    def transact(self, number):
        statement = note(self.name, 0, number, self.tenant)
        if number % 2:
            statement = " ".join(["BEGIN;", *order(self.name, 0, number, self.tenant), "COMMIT;"])
        done = subprocess.run([self.psql(), "-XqAt", "-v", "VERBOSITY=verbose", "-c", statement], env=self.environment(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        if done.returncode or done.stderr:
            self.failed(f"psql -c ended with {done.returncode}: {done.stderr.strip()}")
        return done.returncode == 0


class Pgbench(Client):
    """pgbench with a log of each transaction, which ends when its time is over, or when we say that it is."""

    CLIENTS = 2
    RATE = 60

    def __init__(self, name, *arguments, mode, pipeline=False):
        super().__init__(name, *arguments)
        before, after = (["\\startpipeline"], ["\\endpipeline"]) if pipeline else ([], [])
        for what, lines in (("order", ["BEGIN;", *self.script(), "COMMIT;"]), ("note", [self.note()])):
            self.world.write(f"{name}.{what}.sql", "\n".join(["\\set n :n + 1", *before, *lines, *after, ""]))
        self.log, self.read_to = self.world.folder / f"{name}.log", 0
        self.log.unlink(missing_ok=True)
        self.child = self.spawn([Version(15).clients / "pgbench", "-n", "-c", self.CLIENTS, "-T", 3600, "-R", self.RATE, "-D", "n=0", "-l", "--log-prefix", self.log,
                                 "-f", f"{name}.order.sql", "-f", f"{name}.note.sql", "--failures-detailed", "-M", mode])
        self.reader = threading.Thread(target=lambda: self.said.extend(self.child.stdout), daemon=True)
        self.reader.start()

    def script(self):
        # With pgbench's own variables. What it has written it must find: else it divides by zero.
        read, write, take, seen = order(self.name, 0, 0, self.tenant)
        write = write.replace(f"'{self.tenant}', 0, 0)", f"'{self.tenant}', :client_id, :n)")
        at = "item = 0"
        return [read.replace(at, f"item = :n % {ITEMS}"), write, take.replace(at, f"item = :n % {ITEMS}"),
                f"SELECT 1 / count(*) FROM orders WHERE client = '{self.name}' AND worker = :client_id AND number = :n;"]

    def note(self):
        return note(self.name, 0, 0, self.tenant).replace(f"'{self.tenant}', 0, 0)", f"'{self.tenant}', :client_id, :n)")

    def refresh(self):
        """Reads on in its log, which is written by blocks: client, transaction, microseconds, script, when it ended (two), how late it began."""
        path = self.log.with_name(f"{self.log.name}.{self.child.pid}")
        if not path.exists():
            return
        with open(path) as log:
            log.seek(self.read_to)
            text = log.read()
        whole = text[:text.rfind("\n") + 1]
        self.read_to += len(whole)
        for line in whole.splitlines():
            client, number, took, _, _, _, late = line.split()
            if not took.isdigit():
                self.failed(f"a transaction: {took}")
            else:
                self.acknowledged(int(client), int(number), (int(took) - int(late)) / 1000)

    def count(self):
        self.refresh()
        if self.child.poll() is not None and not self.errors:
            self.reader.join(timeout=10)
            self.failed(f"pgbench ended with {self.child.returncode}: " + " | ".join(map(str.strip, self.said)))
        return super().count()

    def end(self):
        if self.child.poll() is None:
            # As its own alarm: it ends behind the transactions under way, and counts.
            self.child.send_signal(signal.SIGALRM)
        try:
            self.child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
        self.reader.join(timeout=10)
        told = "".join(self.said)
        self.refresh()
        if self.child.returncode or not re.search(r"number of failed transactions: 0 ", told) or "aborted" in told:
            self.failed(f"pgbench ended with {self.child.returncode}: {told}")


JARS = [JDBC, "/usr/share/java/HikariCP.jar", "/usr/share/java/slf4j-api.jar", "/usr/share/java/slf4j-simple.jar"]


def python(name):
    return lambda: [PYTHON, "-B", SOURCES / f"python/pool_{name}.py"]


def pool(command, listens=True):
    return lambda *arguments: Pool(*arguments, command=command, listens=listens)


def pgbench(mode, **more):
    return lambda *arguments: Pgbench(*arguments, mode=mode, **more)


CLIENTS = {
    "psql": Psql, "psql-c": PsqlEach,
    "pgbench-simple": pgbench("simple"), "pgbench-extended": pgbench("extended"), "pgbench-prepared": pgbench("prepared"),
    "pgbench-pipeline": pgbench("prepared", pipeline=True),
    "psycopg2": pool(python("psycopg2"), listens=False), "psycopg3": pool(python("psycopg3")), "asyncpg": pool(python("asyncpg")),
    "node-postgres": pool(lambda: ["node", needed(FETCHED / "npm/node_modules/pg") and SOURCES / "node/pool_pg.js"]),
    "pgjdbc": pool(lambda: ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", os.pathsep.join(JARS),
                            SOURCES / "java/PoolWithPgjdbc.java"]),
    "pgx": pool(lambda: [needed(FETCHED / "go/pool_pgx")]),
}
# Without what script/bootstrap --compat alone brings.
DEBIAN = [name for name in CLIENTS if name not in ("node-postgres", "pgjdbc", "pgx")]
