"""What flips are made on: two PostgreSQL servers, Kafka, crossfade-proxy that checks the passwords, crossfade-cdc, and the
application's tables on both sides."""

import json
import os
import re
import subprocess
from pathlib import Path

from rig import ROOT, USER, Failed, Rig, free_port, http, needed, until

KAFKA = Path(os.environ.get("CROSSFADE_KAFKA_LIBS", ROOT / "build/kafka/libs"))
TENANTS = ("acme", "zeta")
ITEMS = 10

# A client's writes are known by (client, worker, number): an order with its two lines and one more of an item taken, or a note.
# Nothing is unique but the keys, so that a row that is there twice is seen and not refused.
TABLES = f"""
SET ROLE {USER};
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client text NOT NULL, tenant text NOT NULL,
                     worker int NOT NULL, number int NOT NULL);
CREATE INDEX ON orders (client, worker, number);
CREATE TABLE lines (id bigserial PRIMARY KEY, tenant text NOT NULL, order_id bigint NOT NULL REFERENCES orders, body text);
CREATE INDEX ON lines (order_id);
CREATE TABLE stock (tenant text, item int, taken bigint NOT NULL, PRIMARY KEY (tenant, item));
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client text NOT NULL, tenant text NOT NULL,
                    worker int NOT NULL, number int NOT NULL);
"""
ROWS = (f"INSERT INTO stock SELECT t, i, 0 FROM unnest(ARRAY{list(TENANTS)}) t, generate_series(0, {ITEMS - 1}) i")

SCOPES = {"everything": "", "tenant": 'tenants: { session: "parameter:app.tenant", column: tenant }\n',
          "group": "groups: { notes: { tables: [public.notes] } }\n"}


class Landscape(Rig):
    """`with Landscape(15, modern, bin) as world: world.begin()`, where modern is a Rig that is entered before."""

    def __init__(self, major, modern, programs, strategy="legacy-primary", scope="everything"):
        super().__init__(major, programs)
        self.modern, self.strategy, self.scope = modern, strategy, scope
        self.listen, self.admin = free_port(), free_port()

    def begin(self):
        for side in self.sides():
            side.database(max_connections=200, track_commit_timestamp="on")
        # A log-in that the proxy has checked is good for a database with the same verifier.
        verifier = self.sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{USER}'")
        self.modern.sql(f"ALTER ROLE {USER} PASSWORD '{verifier}'")
        for side in self.sides():
            side.sql(TABLES)
        self.sql(ROWS)
        cdc = free_port()
        self.config = self.write("crossfade.yaml", f"""
legacy: {{ dsn: "postgresql://crossfade@127.0.0.1:{self.port}/app" }}
modern: {{ dsn: "postgresql://crossfade@127.0.0.1:{self.modern.port}/app" }}
kafka: {{ brokers: "127.0.0.1:{self.kafka(self.readable(KAFKA))}" }}
stream: {{ name: app, tables: ["public.*"], both_ways: true }}
proxy: {{ listen: "127.0.0.1:{self.listen}", admin: "127.0.0.1:{self.admin}", auth: {{ mode: terminate }} }}
cdc: {{ admin: "127.0.0.1:{cdc}" }}
{SCOPES[self.scope]}flags: {{ dual_write_strategy: {self.strategy} }}
""")
        self.must("init")
        self.must("backfill")
        for name, admin in (("crossfade-proxy", self.admin), ("crossfade-cdc", cdc)):
            self.start(name, needed(self.programs / name), "--config", self.config, user={})
            until(name, lambda admin=admin: self.check() or http(admin, "/readyz") is not None)
        until("what a flip asks for", lambda: self.crossfade("flip", "--to", "modern", "--dry-run").returncode == 0, pause=0.5)

    def sides(self):
        return self, self.modern

    def crossfade(self, *arguments):
        return subprocess.run([needed(self.programs / "crossfade"), "--config", self.config, *arguments],
                              capture_output=True, text=True, timeout=180)

    def must(self, *arguments):
        done = self.crossfade(*arguments)
        if done.returncode:
            raise Failed(f"crossfade {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def flip(self, to, reason, scope=()):
        """What `crossfade flip` told of it."""
        return json.loads(self.must("flip", "--to", to, "--reason", reason, "--wait", "60", "--json", *scope))

    def counted(self, metric):
        """{labels: value} of the proxy's metric."""
        found = re.findall(rf"^{metric}(?:{{([^}}]*)}})? (\S+)$", http(self.admin, "/metrics") or "", re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def logs(self, lines=30):
        return "\n".join(f"--- {process.name}\n" + "\n".join(process.log.read_text(errors="replace").splitlines()[-lines:])
                         for process in self.started if process.name.startswith("crossfade"))
