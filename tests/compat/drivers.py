"""Real drivers, each with the same list: a program of its own that names each step, and ends at the first that fails."""

import shutil
import subprocess

from rig import FETCHED, PASSWORD, ROOT, USER, Failed, clean_environment, needed

SOURCES = ROOT / "tests/compat/drivers"
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's drivers
JDBC = "/usr/share/java/postgresql.jar"
SHOWN = 40


def python(name):
    return lambda folder: [PYTHON, "-B", SOURCES / f"python/with_{name}.py"]


def node(folder):
    needed(FETCHED / "npm/node_modules/pg")
    return ["node", SOURCES / "node/with_pg.js"]


def java(folder):
    return ["java", "-cp", JDBC, SOURCES / "java/WithPgjdbc.java"]


def go(folder):
    return [needed(FETCHED / "go/with_pgx")]


DRIVERS = {"psycopg2": python("psycopg2"), "psycopg3": python("psycopg3"), "asyncpg": python("asyncpg"),
           "node-postgres": node, "pgjdbc": java, "pgx": go}


def environment(rig, port):
    """As libpq reads it; a driver that reads less of it by itself is told the rest by its program."""
    # What uses libpq takes that of the server's version, and its newest protocol or none.
    newest = {} if rig.version.libraries is None else {"PGMINPROTOCOLVERSION": "3.2", "PGMAXPROTOCOLVERSION": "3.2"}
    return clean_environment(PGHOST="127.0.0.1", PGPORT=str(port), PGUSER=USER, PGPASSWORD=PASSWORD, PGDATABASE="app",
                             NODE_PATH=str(FETCHED / "npm/node_modules"), LC_ALL="C.UTF-8", **rig.version.library_path(), **newest,
                             **rig.client_tls)


def run(name, rig, port, only=()):
    """({step: whether it passed}, what was wrong)"""
    command = DRIVERS[name](rig.folder)
    if shutil.which(command[0]) is None:
        raise Failed(f"there is no {command[0]}: script/bootstrap --compat brings it")
    # What it said by then names the step that hangs: the one after the last.
    done = subprocess.run(["timeout", "--kill-after=5", "240", *command, *only], env=environment(rig, port),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=rig.folder)
    lines = done.stdout.splitlines()
    verdicts = {line.removeprefix("not ").removeprefix("ok "): line.startswith("ok ")
                for line in lines if line.startswith(("ok ", "not ok "))}
    findings = []
    if done.returncode != 0 or not verdicts:
        findings.append((name, [f"{name} ended with {done.returncode}", *lines[-SHOWN:]]))
        verdicts.setdefault("to the end", False)
    rig.check()
    return verdicts, findings
