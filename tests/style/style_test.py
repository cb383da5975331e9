#!/usr/bin/env python3
"""What a machine can check of the project's style. `style_test.py NAME` runs one check, `--list` names them all."""

import os
import shutil
import subprocess
import sys

import tree as project
from rules import RULES

CHECKS = {check.__name__: check for check in RULES}


def judge(check):
    """Findings of the rule over the project, after it has shown that it can tell good from bad."""
    for sample in check.bad:
        if not list(check(sample)):
            return [f"self-test: finds nothing wrong with {sample}"]
    for sample in check.good:
        if wrong := list(check(sample)):
            return [f"self-test: finds fault with {sample}: {wrong}"]
    return list(check(project.read()))


def by_tool(tool, arguments, paths):
    """What the tool finds in the paths; None where it isn't installed."""
    if shutil.which(tool) is None:
        return None
    done = subprocess.run([tool, *arguments, *paths], cwd=project.ROOT, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines() if done.returncode else []


def formatted():
    paths = [path for path in project.read() if project.is_cpp(path)]
    said = by_tool("clang-format-14", ["--dry-run", "-Werror"], paths)
    places = [line.split(": error:")[0] for line in said or () if ": error:" in line]
    # One place a file is enough to send somebody to clang-format -i.
    return said and list({place.split(":")[0]: place for place in reversed(places)}.values())


def shell_is_clean():
    paths = [path for path, text in project.read().items() if text.startswith("#!/usr/bin/env bash")]
    return by_tool("shellcheck", ["--format=gcc"], paths)


def scripts_can_be_run():
    return [f"{path}: has #! and isn't executable" for path, text in project.read().items()
            if text.startswith("#!") and not os.access(project.ROOT / path, os.X_OK)]


CHECKS.update({check.__name__: check for check in (formatted, shell_is_clean, scripts_can_be_run)})
SKIPPED = 77


def main():
    if sys.argv[1:] == ["--list"]:
        print(";".join(CHECKS))
        return 0
    worst = 0
    for name in sys.argv[1:] or CHECKS:
        check = CHECKS[name]
        found = judge(check) if hasattr(check, "bad") else check()
        if found is None:
            print(f"{name}: skipped, the tool is not installed (script/bootstrap --lint)")
            worst = worst or SKIPPED
            continue
        print(f"{name}: {len(found)} findings", *found, sep="\n  ")
        worst = 1 if found else worst
    return worst


if __name__ == "__main__":
    sys.exit(main())
