"""A driver's list: named steps, run in the order in which they are written, until the first that fails."""

import sys
import traceback

STEPS = []


def step(body):
    STEPS.append(body)
    return body


def equal(found, expected):
    if found != expected:
        shown = [text if len(text) < 300 else text[:300] + "…" for text in (repr(found), repr(expected))]
        raise AssertionError(f"found {shown[0]}, expected {shown[1]}")


def refused(kind, body):
    """The error of this kind that the body must raise."""
    try:
        body()
    except kind as error:
        return error
    raise AssertionError(f"{kind} was expected")


def main(run=lambda body: body()):
    wanted = sys.argv[1:]
    for body in STEPS:
        if wanted and body.__name__ not in wanted:
            continue
        try:
            run(body)
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            print(f"not ok {body.__name__}", flush=True)
            return 1
        print(f"ok {body.__name__}", flush=True)
    return 0
