"""A pool's life through flips: what its program is told (by the environment and the end of its input) and says (a line for each event).

    opened                    the pool has made a connection
    done WORKER NUMBER MS     a transaction has been acknowledged
    failed SQLSTATE MESSAGE   the application was told of an error, or found something amiss
    heard WORKER NUMBER       a notification of a transaction came
"""

import os
import sys
import threading
import time

CLIENT, TENANT, CHANNEL = (os.environ[f"POOL_{what}"] for what in ("CLIENT", "TENANT", "CHANNEL"))
WORKERS = 2
SIZE = 3
THINKS = 0.01  # between two transactions
ZONE = "Asia/Tokyo"

stopping = threading.Event()


def say(*words):
    # One call of write(): lines of several threads don't mix.
    os.write(1, (" ".join(map(str, words)).replace("\n", " ") + "\n").encode())


def failed(error):
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "-"
    say("failed", state, type(error).__name__ + ":", error)


def watch_input():
    def read():
        sys.stdin.read()
        stopping.set()
    threading.Thread(target=read, daemon=True).start()


def check(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what} is {found!r}, not {expected!r}")


class Ledger:
    """A worker's numbers and times."""

    def __init__(self, worker):
        self.worker, self.number, self.since = worker, 0, None

    def begin(self):
        self.number, self.since = self.number + 1, time.monotonic()

    def end(self):
        say("done", self.worker, self.number, f"{(time.monotonic() - self.since) * 1000:.1f}")


def run_threads(transact):
    """transact(ledger), again and again, in each of the workers until the input ends."""
    def work(worker):
        ledger = Ledger(worker)
        while not stopping.is_set():
            ledger.begin()
            try:
                transact(ledger)
                ledger.end()
            except Exception as error:
                failed(error)
            stopping.wait(THINKS)
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
