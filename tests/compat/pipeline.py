"""PostgreSQL's own test of libpq's pipeline mode: every test passes, and the messages on the wire are those that are expected."""

import difflib
import subprocess

from rig import Failed, needed

SHOWN = 40
SECONDS = 40  # for one test


def conninfo(rig, port):
    wire = " max_protocol_version=latest" if rig.version.major >= 18 else ""
    return f"host=127.0.0.1 port={port} dbname=postgres user=crossfade{wire}"


def run(rig, port, keep, only=()):
    """({test: whether it passed}, what was wrong with those that did not)"""
    program = rig.version.modules / "libpq_pipeline"
    expected = needed(rig.version.sources / "src/test/modules/libpq_pipeline/traces")
    environment = rig.version.environment()
    names = subprocess.run([needed(program), "tests"], capture_output=True, text=True, check=True, timeout=60,
                           env=environment).stdout.split()
    keep.mkdir(parents=True, exist_ok=True)
    runs = [(name, conninfo(rig, port)) for name in names]
    if rig.version.major >= 18:  # a cancel key of the old length, too
        runs.append(("cancel, protocol 3.0", conninfo(rig, port).replace("latest", "3.0")))
    verdicts, findings = {}, []
    for label, where in runs:
        if only and label not in only:
            continue
        trace = keep / f"{label}.trace"
        trace.unlink(missing_ok=True)
        command = [program, "-r", "700", "-t", trace, label.split(",")[0], where]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)
            wrong = [] if done.returncode == 0 else [f"{label} ended with {done.returncode}", *done.stderr.splitlines()[-SHOWN:]]
        except subprocess.TimeoutExpired:
            wrong = [f"{label} did not end within {SECONDS} s"]
        reference = expected / f"{label}.trace"
        if not wrong and reference.exists():
            texts = (reference.read_text().splitlines(), trace.read_text().splitlines())
            if lines := list(difflib.unified_diff(*texts, "expected", "on the wire", lineterm="", n=2)):
                wrong = [f"{label}: the trace differs", *lines[:SHOWN]]
        verdicts[label] = not wrong
        if wrong:
            findings.append((label, wrong))
    rig.check()
    if not verdicts:
        raise Failed("libpq_pipeline names no tests")
    return verdicts, findings
