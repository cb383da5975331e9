#!/usr/bin/env python3
"""Whether an application feels it when the authority goes over to the other database and back, with real drivers and their pools.

  flips.py --clients psql asyncpg --flips 10 --scope everything|tenant|group --server 15|18 --strategy legacy-primary|mirror
"""

import argparse
import contextlib
import signal
import sys
import traceback

from landscape import KAFKA, SCOPES, TENANTS, Landscape
from live import CLIENTS, DEBIAN
from rig import ROOT, Failed, Rig, until

BETWEEN = 20  # transactions of each client between two flips, at least
SKIPPED = 77  # as CMakeLists.txt has it


def plan(scope, times):
    """(to, options, of whom) of each flip; those of a scope go before the rest, and come back before it."""
    scoped = {"everything": [()], "tenant": [("--tenant", TENANTS[0]), ()], "group": [("--group", "notes"), ()]}[scope]
    for number in range(times):
        of = scoped[number % len(scoped)]
        yield "modern" if number // len(scoped) % 2 == 0 else "legacy", of, " ".join(of) or "everything"


class Trial:
    def __init__(self, world, names):
        self.world, self.names, self.clients, self.at = world, names, [], "before the first flip"

    def begin(self):
        for number, name in enumerate(self.names):
            self.clients.append(CLIENTS[name](name, TENANTS[number % len(TENANTS)], self.world, lambda: self.at))

    def errors(self):
        self.world.check()
        self.world.modern.check()
        return [error for client in self.clients for error in client.errors]

    def judge(self):
        if wrong := self.errors():
            raise Failed("\n".join([f"{len(wrong)} errors; the first of them:", *wrong[:20], self.world.logs()]))

    def work(self):
        """Each client acknowledges some more, and hears of it where it listens."""
        before = {client: (client.count(), len(client.heard)) for client in self.clients}
        def more(client):
            self.judge()
            count, heard = before[client]
            return client.count() >= count + BETWEEN and (len(client.heard) > heard or not client.listens)
        for client in self.clients:
            until(f"{client.name} to work, {self.at}", lambda client=client: more(client))

    def flips(self, scope, times):
        self.work()
        for number, (to, of, whose) in enumerate(plan(scope, times), 1):
            for client in self.clients:
                client.take_longest()
            self.at = f"in flip {number} ({whose} to {to})"
            told = self.world.flip(to, f"flip {number} of the compatibility suite", of)
            self.at = f"after flip {number} ({whose} to {to})"
            self.work()
            longest = {client.name: client.take_longest() for client in self.clients}
            print(f"flip {number}, {whose} to {to}: writes held for {told['held_ms']:.0f} ms, attempts {told['attempts']}; the longest transaction",
                  ", ".join(f"{name} {took:.0f} ms" for name, took in longest.items()), flush=True)

    def end(self):
        self.at = "at the end"
        for client in self.clients:
            client.end()
        self.judge()
        self.world.must("verify", "--wait", "60")

    def kill(self):
        for client in self.clients:
            client.kill()


def rows_of(side, sql):
    return [line.split("|") for line in side.sql(sql).splitlines()]


def missing_or_twice(trial, side, name):
    """What isn't on the side as it was acknowledged."""
    found = {}
    for client, worker, number, times, lines in rows_of(side, """
        SELECT client, worker, number, count(*), sum(lines) FROM (
            SELECT client, worker, number, (SELECT count(*) FROM lines WHERE order_id = o.id) AS lines FROM orders o
            UNION ALL SELECT client, worker, number, 2 FROM notes) t GROUP BY 1, 2, 3"""):
        found.setdefault(client, {})[int(worker), int(number)] = (int(times), int(lines))
    for client in trial.clients:
        there = found.get(client.name, {})
        if lost := client.done.keys() - there.keys():
            yield f"{name} lacks {len(lost)} transactions of {client.name} that were acknowledged, such as {min(lost)}"
        if more := there.keys() - client.done.keys():
            yield f"{name} has {len(more)} transactions of {client.name} that nobody acknowledged, such as {min(more)}"
        if odd := {key: value for key, value in there.items() if value != (1, 2)}:
            yield f"{name} has {len(odd)} transactions of {client.name} not once and whole, such as {min(odd)}: {odd[min(odd)]}"
    if (taken := side.sql("SELECT (SELECT sum(taken) FROM stock) - (SELECT count(*) FROM orders)")) != "0":
        yield f"{name}: what was taken and what was ordered differ by {taken}"


def complaints(world):
    for name, side in (("legacy", world), ("modern", world.modern)):
        for table in ("drift", "dead_letters"):
            if (count := side.sql(f"SELECT count(*) FROM crossfade.{table}")) != "0":
                yield f"{name}: {count} in crossfade.{table}"


def closed_or_left(trial):
    """Sessions that did not go over, whoever noticed."""
    moved = trial.world.counted("crossfade_sessions_moved_total")
    ended = trial.world.counted("crossfade_sessions_total")
    for name, counts in (("moved", moved), ("detours", trial.world.counted("crossfade_session_detours_total")), ("ended", ended)):
        print(f"sessions: {name}", {labels: int(count) for labels, count in counts.items() if count} or "none")
    if not moved.get('result="moved"'):
        yield "no session went over"
    for labels, count in moved.items():
        if count and labels != 'result="moved"':
            yield f"{count:.0f} sessions were not moved: {labels}"
    for labels, count in ended.items():
        if count and labels != 'result="client_left"':
            yield f"{count:.0f} sessions ended by {labels}"
    for client in trial.clients:
        if client.size and client.opened > client.size:
            yield f"{client.name} made {client.opened} connections, where {client.size} are enough"


def run(options):
    with contextlib.ExitStack() as open_until_done:
        modern = open_until_done.enter_context(Rig(options.modern or options.server, options.programs))
        world = open_until_done.enter_context(Landscape(options.server, modern, options.programs, options.strategy, options.scope))
        world.begin()
        trial = Trial(world, options.clients)
        open_until_done.callback(trial.kill)
        trial.begin()
        trial.flips(options.scope, options.flips)
        wrong = list(closed_or_left(trial))
        trial.end()
        for name, side in (("legacy", world), ("modern", modern)):
            wrong += missing_or_twice(trial, side, name)
        wrong += complaints(world)
        for client in trial.clients:
            print(f"{client.name} ({client.tenant}): {len(client.done)} transactions, the longest {client.longest_ever:.0f} ms; connections made "
                  f"{client.opened or '-'}; notifications {len(client.heard)}, without {dict(client.unheard())}")
        if wrong:
            raise Failed("\n".join([*wrong, world.logs()]))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", nargs="+", default=list(CLIENTS), choices=[*CLIENTS, "debian"],
                        help="debian: those that need nothing but Debian's small packages")
    parser.add_argument("--flips", type=int, default=10)
    parser.add_argument("--scope", default="everything", choices=SCOPES)
    parser.add_argument("--server", type=int, default=15, choices=(15, 18))
    parser.add_argument("--modern", type=int, choices=(15, 18), help="modern's, if it is another")
    parser.add_argument("--strategy", default="legacy-primary", choices=("legacy-primary", "mirror"))
    parser.add_argument("--programs", default=ROOT / "build/release/bin")
    parser.add_argument("--seconds", type=int, default=540, help="after which it gives up")
    options = parser.parse_args()
    if not KAFKA.exists():
        print("there is no Kafka: script/bootstrap --kafka brings it, and CROSSFADE_KAFKA_LIBS says where another is")
        return SKIPPED
    if options.clients == ["debian"]:
        options.clients = DEBIAN

    def expired(*_):
        raise Failed(f"not done after {options.seconds} s")
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(options.seconds)
    try:
        return run(options)
    except Failed as failure:
        print(failure)
    except Exception:  # of the suite itself: a failure with its place
        traceback.print_exc()
    return 1


if __name__ == "__main__":
    sys.exit(main())
