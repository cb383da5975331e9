"""Servers of a measurement's own: in one temporary folder, on free ports, ended by id when the block ends."""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"
POSTGRES = Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))[-1])
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, seconds=60, pause=0.05):
    """Waits for the condition; a measurement whose servers don't come up has nothing to say."""
    for _ in range(int(seconds / pause)):
        if condition():
            return
        threading.Event().wait(pause)
    raise SystemExit(f"waited {seconds} s for: {what}")


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def http(port, path):
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
        return answer.read().decode()
    return None


class Process:
    def __init__(self, name, argv, folder, user):
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(list(map(str, argv)), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                          cwd=folder, start_new_session=True, **user)

    def cpu_seconds(self):
        """User and system time so far, of all its threads."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_mib(self):
        """The most that it has had resident."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self, how=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(how)
            try:
                self.child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def check(self):
        if self.child.poll() is not None:
            raise SystemExit(f"{self.name} ended with {self.child.returncode}:\n" + "".join(
                self.log.read_text(errors="replace").splitlines(keepends=True)[-15:]))


class Servers:
    """`with Servers() as servers:`; whatever was started is stopped at the end, newest first."""

    def __init__(self):
        # PostgreSQL, pgbouncer and haproxy don't run as root.
        self.user = {}
        if os.geteuid() == 0:
            postgres = pwd.getpwnam("postgres")
            self.user = {"user": postgres.pw_uid, "group": postgres.pw_gid, "extra_groups": []}
        self.started = []

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="crossfade-bench."))
        if self.user:
            os.chown(self.folder, self.user["user"], self.user["group"])
        # SIGTERM unwinds like Ctrl-C does.
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        return self

    def __exit__(self, kind, *_):
        for process in reversed(self.started):
            process.stop(signal.SIGINT if process.name.startswith("postgres") else signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, *argv):
        process = Process(name, argv, self.folder, self.user)
        self.started.append(process)
        return process

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def postgres(self, name, **settings):
        data, port = self.folder / name, free_port()
        subprocess.run([POSTGRES / "initdb", "-D", data, "-U", "crossfade", "-A", "trust", "-E", "UTF8", "--no-locale",
                        "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self.user)
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": self.folder,
                    "shared_buffers": "256MB", "fsync": "off", "max_wal_size": "4GB", "max_connections": 60,
                    "wal_level": "logical", **settings}
        process = self.start(f"postgres-{name}", POSTGRES / "postgres", "-D", data,
                             *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")))
        database = Database(port)
        until(f"PostgreSQL {name}", lambda: process.check() or database.answers())
        database.sql("CREATE DATABASE app", dbname="postgres")
        return database

    def certificate(self):
        """The files of a certificate and its key, signed by itself."""
        cert, key = self.folder / "server.crt", self.folder / "server.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                        "-out", cert, "-keyout", key], check=True, capture_output=True, cwd=self.folder, **self.user)
        key.chmod(0o600)
        return cert, key

    def pgbouncer(self, database, certificate):
        port = free_port()
        config = self.write("pgbouncer.ini", f"""
            [databases]
            * = host=127.0.0.1 port={database.port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = any
            pool_mode = session
            max_client_conn = 100
            default_pool_size = 100
            server_tls_sslmode = disable
            client_tls_sslmode = allow
            client_tls_cert_file = {certificate[0]}
            client_tls_key_file = {certificate[1]}
            """.replace("            ", "").replace("* = host", "* = user=crossfade host"))
        process = self.start("pgbouncer", "/usr/sbin/pgbouncer", config)
        until("pgbouncer", lambda: process.check() or listens(port))
        return port, process

    def haproxy(self, database):
        port = free_port()
        config = self.write("haproxy.cfg", f"""
global
    maxconn 200
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen postgres
    bind 127.0.0.1:{port}
    server legacy 127.0.0.1:{database.port}
""")
        process = self.start("haproxy", "/usr/sbin/haproxy", "-db", "-f", config)
        until("haproxy", lambda: process.check() or listens(port))
        return port, process

    def kafka(self, libs=ROOT / "build/kafka/libs"):
        port, controller = free_port(), free_port()
        config = self.write("kafka.properties", "\n".join([
            "process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}", "controller.listener.names=CONTROLLER",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            f"log.dirs={self.folder}/kafka", "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", ""]))
        java = ["java", "-Xmx512m", "-cp", f"{libs}/*"]
        subprocess.run([*java, "kafka.tools.StorageTool", "format", "--cluster-id", "Y3Jvc3NmYWRlLWJlbmNoLTE", "--config",
                        config], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, **self.user)
        process = self.start("kafka", *java, "kafka.Kafka", config)
        until("Kafka", lambda: process.check() or listens(port))
        return port

    def crossfade(self, program, config, admin, path="/healthz"):
        process = self.start(program, BIN / program, "--config", config)
        until(f"{program} {path}", lambda: process.check() or http(admin, path) is not None)
        return process


class Database:
    def __init__(self, port):
        self.port = port

    def sql(self, text, dbname="app"):
        done = subprocess.run([POSTGRES / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
                               str(self.port), "-U", "crossfade", dbname, "-f", "-"],
                              input=text, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{text}\n{done.stderr}")
        return done.stdout.strip()

    def wait_until(self, what, condition, dbname="app", seconds=600):
        """Until the server finds the condition true; looked at by itself every 5 ms. A psql for each look would take up to
        half a core from what is measured."""
        said = self.sql(f"""DO $$ DECLARE late timestamptz := clock_timestamp() + '{seconds} s'; BEGIN
            WHILE NOT ({condition}) AND clock_timestamp() < late LOOP PERFORM pg_sleep(0.005); END LOOP;
            END $$; SELECT {condition}""", dbname)
        if said != "t":
            raise SystemExit(f"waited {seconds} s for: {what}")

    def answers(self):
        return subprocess.run([POSTGRES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0

    def dsn(self, dbname="app"):
        return f"postgresql://crossfade@127.0.0.1:{self.port}/{dbname}"


def pgbench(port, *arguments, encryption="disable"):
    """What pgbench prints. `encryption`: an sslmode."""
    return subprocess.run([POSTGRES / "pgbench", "-n", "-h", "127.0.0.1", "-p", str(port), "-U", "crossfade", *arguments,
                           "app"], check=True, capture_output=True, text=True,
                          env={**os.environ, "PGSSLMODE": encryption}).stdout
