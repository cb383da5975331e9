"""PostgreSQL's own regression tests, its parallel schedule: through the proxy the same tests pass as without it, and those
that fail print what they print without it."""

import difflib
import re
import shutil
import subprocess

from rig import Failed, needed

LINE = re.compile(r"^(?:(?:test|    ) +(?P<name>\S+) +\.\.\. (?P<how>ok|FAILED|failed)"
                  r"|(?P<tap>ok|not ok) +\d+ +[-+] (?P<tapname>\S+) )", re.MULTILINE)
# The sources are newer than the server that npm has, and some of their tests are for faults that it still has.
LEFT_OUT = {18: dict.fromkeys(("sqljson", "hash_part"), "ends a backend of 18.4 with a segmentation fault")}
UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # a test prints new ones where it fails
# Lines of a test that lists all publications' tables, ours among them, as they come: their order says nothing.
OURS = re.compile(r"\bcrossfade_app\b")
LEAST = 150  # tests that pass; a schedule with fewer has broken down, and shows nothing by being equal
SHOWN = 60   # lines of a difference


def verdicts(said):
    """{test: whether it passed}, of what pg_regress prints."""
    return {match["name"] or match["tapname"]: (match["how"] or match["tap"]) == "ok" for match in LINE.finditer(said)}


def schedule(rig, inputs):
    """The parallel schedule without what is left out."""
    left_out = LEFT_OUT.get(rig.version.major, {})
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    lines = (inputs / "parallel_schedule").read_text().splitlines()
    return rig.write("schedule", "\n".join(" ".join(word for word in line.split(" ") if word not in left_out) for line in lines) + "\n")


def run(rig, port, keep, only=()):
    """{test: whether it passed}; what the tests printed is left in `keep`."""
    version = rig.version
    needed(version.modules / "regress.so")
    inputs, modules = rig.readable(version.regress), rig.readable(version.modules)
    built = version.pg_regress.is_relative_to(version.modules)  # else it is the system's
    pg_regress, clients = (modules / "pg_regress", modules / "bin") if built else (version.pg_regress, version.clients)
    environment = version.environment()
    if built:  # where its user can read it, too
        environment["LD_LIBRARY_PATH"] = str(modules / "lib")
    outputs = rig.folder / "regress"
    outputs.mkdir()
    if rig.user:
        shutil.chown(outputs, "postgres", "postgres")
    done = subprocess.run(
        [needed(pg_regress), "--host=127.0.0.1", f"--port={port}", f"--bindir={clients}",
         f"--inputdir={inputs}", f"--outputdir={outputs}", f"--dlpath={modules}", "--max-concurrent-tests=20", *rig.regress_options,
         *(["--expecteddir", inputs] if version.major > 15 else []), *(only or [f"--schedule={schedule(rig, inputs)}"])],
        cwd=outputs, env=environment, capture_output=True, text=True, timeout=1500, **rig.user)
    shutil.rmtree(keep, ignore_errors=True)
    shutil.copytree(outputs, keep)
    for process in rig.started:
        shutil.copy(process.log, keep / f"{process.name}.log")
    for printed in (keep / "results").glob("*.out"):
        text = printed.read_bytes().replace(str(rig.folder).encode(), b"FOLDER")
        printed.write_bytes(UUID.sub(b"UUID", text.replace(f"port {port}".encode(), b"port PORT")))
    found = verdicts(done.stdout)
    if sum(found.values()) < (0 if only else LEAST):
        raise Failed(f"pg_regress ended with {done.returncode}, {sum(found.values())} of {len(found)} tests passed:\n"
                     f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    rig.check()
    return found


def difference(test, direct, through):
    """What the test printed through the proxy and not without it."""
    def printed(folder):
        lines = (folder / "results" / f"{test}.out").read_text(errors="replace").splitlines()
        return [line for line in lines if not OURS.search(line)] + sorted(filter(OURS.search, lines))

    return list(difflib.unified_diff(printed(direct), printed(through), "direct", "through the proxy", lineterm="", n=2))


def compare(direct, through, direct_folder, through_folder):
    """Findings; none where nothing distinguishes the two but what differs between any two runs."""
    findings = []
    for test in sorted(direct.keys() | through.keys()):
        one, other = direct.get(test), through.get(test)
        if one != other:
            words = {True: "passes", False: "fails", None: "is not run"}
            findings.append((test, [f"{test} {words[one]} direct and {words[other]} through the proxy",
                                    *difference(test, direct_folder, through_folder)[:SHOWN]]))
        elif not one and (lines := difference(test, direct_folder, through_folder)):
            findings.append((test, [f"{test} fails both ways, and not in the same way", *lines[:SHOWN]]))
    return findings
