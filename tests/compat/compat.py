#!/usr/bin/env python3
"""Whether an application can tell the proxy from the database: one suite, against one PostgreSQL, by one route.

  compat.py run SUITE --server 15|18 --route direct|legacy-only|legacy-primary|tls|terminate|mirror|pgbouncer|...
  compat.py table
"""

import argparse
import contextlib
import json
import signal
import sys
import traceback
from pathlib import Path

import drivers
import mirrored
import pipeline
import regress
from rig import ROOT, ROUTES, Failed, Rig


class Results:
    """What the routes of a suite have given, so that they can be compared and printed."""

    def __init__(self, folder, suite, server, route):
        self.folder, self.name, self.route = Path(folder), f"{suite}.pg{server}", route

    def kept(self, route=None):
        """The folder for what a run leaves to look at."""
        path = self.folder / f"{self.name}.{route or self.route}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, verdicts, route=None):
        self.kept(route).with_name(self.kept(route).name + ".json").write_text(json.dumps(verdicts, indent=1, sort_keys=True))

    def read(self, route):
        path = self.kept(route).with_name(self.kept(route).name + ".json")
        if not path.exists():
            raise Failed(f"there is no result of {self.name} by the route {route} yet: that one comes first")
        return json.loads(path.read_text())


def run_regress(options, results):
    """A test that differs is run again, with all others, on both routes: what differs each time is a difference."""
    control = "captured" if options.route.startswith(("captured", "mirror")) else "direct"

    def one(route, keep):
        with contextlib.ExitStack() as open_until_done:
            rig = Rig(options.server, options.programs)
            if control == "captured":
                other = {15: 18, 18: 15}[options.server] if route == "mirror-across" else options.server
                modern = open_until_done.enter_context(Rig(other, options.programs))
                rig = mirrored.MirroredRig(options.server, modern, options.programs)
            open_until_done.enter_context(rig)
            rig.database()
            verdicts = regress.run(rig, rig.route(route), keep, options.only)
            if control == "captured":
                rig.account(at_least=0 if options.only else mirrored.LEAST)
        print(f"{route}: {sum(verdicts.values())} of {len(verdicts)} tests pass; failed:",
              " ".join(name for name, passed in verdicts.items() if not passed) or "none", flush=True)
        return verdicts

    through = one(options.route, results.kept())
    results.write(through)
    if options.route == control:
        return []
    findings = regress.compare(results.read(control), through, results.kept(control), results.kept())
    if not findings or options.route == "pgbouncer":
        return findings
    print(f"differs from {control}:", " ".join(test for test, _ in findings) + "; once more, both routes", flush=True)
    again = {route: results.kept().with_name(f"{results.kept(route).name}.again") for route in (control, options.route)}
    direct, through = (one(route, keep) for route, keep in again.items())
    repeated = regress.compare(direct, through, *again.values())
    names = {test for test, _ in repeated}
    for test, lines in findings:
        if test not in names:
            print(f"differed once, and not the second time: {lines[0]}")
    results.write(through)
    return [finding for finding in repeated if finding[0] in {test for test, _ in findings}]


def run_pipeline(options, results):
    with Rig(options.server, options.programs) as rig:
        rig.database()
        verdicts, findings = pipeline.run(rig, rig.route(options.route), results.kept(), options.only)
    results.write(verdicts)
    return findings


def run_driver(options, results):
    if options.route in ("tls", "terminate") and options.sslmode == "disable":
        options.sslmode = "verify-full"
    with Rig(options.server, options.programs) as rig:
        rig.database(**rig.use_tls(options.sslmode))
        verdicts, findings = drivers.run(options.suite, rig, rig.route(options.route), options.only)
    results.write(verdicts)
    return findings


SUITES = {"regress": run_regress, "libpq_pipeline": run_pipeline, **{name: run_driver for name in drivers.DRIVERS}}
SECONDS = {"regress": 3000, "libpq_pipeline": 600}  # others: 300


def run(options):
    seconds = SECONDS.get(options.suite, 300)

    def expired(*_):
        raise Failed(f"not done after {seconds} s")
    # Before ctest's own time limit, which would leave servers behind.
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    findings = SUITES[options.suite](options, Results(options.results, options.suite, options.server, options.route))
    judged = options.route != "pgbouncer"
    for _, lines in findings:
        print(*lines[:None if judged else 1], sep="\n  ")
    return 1 if findings and judged else 0


def table(options):
    """Tests that passed, by suite and route."""
    found = {}
    for path in sorted(Path(options.results).glob("*.json")):
        suite, server, route = path.stem.rsplit(".", 2)
        verdicts = json.loads(path.read_text())
        found.setdefault(f"{suite} {server}", {})[route] = f"{sum(verdicts.values())} of {len(verdicts)}"
    routes = [route for route in ROUTES if any(route in row for row in found.values())]
    print(f"{'tests that pass':32}" + "".join(f"{route:>16}" for route in routes))
    for name, row in found.items():
        print(f"{name:32}" + "".join(f"{row.get(route, '-'):>16}" for route in routes))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("run")
    one.set_defaults(act=run)
    one.add_argument("suite", choices=SUITES)
    one.add_argument("--server", type=int, default=15, choices=(15, 18))
    one.add_argument("--route", default="direct", choices=ROUTES)
    one.add_argument("--programs", default=ROOT / "build/release/bin")
    one.add_argument("--sslmode", default="disable", choices=("disable", "require", "verify-ca", "verify-full"),
                     help="for the drivers, with certificates of the run's own")
    one.add_argument("--only", nargs="+", default=[], help="these tests of the suite alone")
    everything = commands.add_parser("table")
    everything.set_defaults(act=table)
    for command in (one, everything):
        command.add_argument("--results", default=ROOT / "build/release/compat")
    options = parser.parse_args()
    try:
        return options.act(options)
    except Failed as failure:
        print(failure)
    except Exception:  # of the suite itself: a failure with its place
        traceback.print_exc()
    return 1


if __name__ == "__main__":
    sys.exit(main())
