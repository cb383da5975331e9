"""The documents, the alerts and the dashboard speak of the metrics that there are."""

import re

from rules import finding, rule
from tree import is_cpp, lines

DOC, ALERTS, RUNBOOK = "docs/metrics.md", "deploy/prometheus/alerts.yml", "docs/operations.md"
NAME = r"\bcrossfade_[a-z0-9_]+"


def rows(tree):
    """(line, metric, the row's text) of every table row that documents a metric."""
    for number, line in lines(tree.get(DOC, "")):
        if match := re.match(rf"\| `({NAME})` \|", line):
            yield number, match.group(1), line


@rule(bad=[{DOC: "| `crossfade_gone_total` | counter |\n", "proxy/a.cpp": 'f("crossfade_there")\n'}],
      good=[{DOC: "| `crossfade_there` | gauge |\n", "cdc/a.cpp": 'f("crossfade_there")\n'}])
def documented_metrics_are_exported(tree):
    code = "\n".join(text for path, text in tree.items() if is_cpp(path) and path.startswith(("lib/", "proxy/", "cdc/")))
    for number, name, _ in rows(tree):
        if f'"{name}"' not in code:
            yield finding(DOC, number, f"no program exports {name}")


@rule(bad=[{DOC: "| `crossfade_a` | gauge |\n", ALERTS: "expr: crossfade_b > 0\n"},
           {DOC: "| `crossfade_a` | gauge |\n", "deploy/grafana/d.json": '"rate(crossfade_a_bucket[1m])"\n"crossfade_ab"\n'}],
      good=[{DOC: "| `crossfade_a` | histogram |\n", "deploy/grafana/d.json": '"rate(crossfade_a_bucket[1m])"\n'}])
def alerts_and_dashboards_use_documented_metrics(tree):
    known = set()
    for _, name, row in rows(tree):
        known |= {name + part for part in ("_bucket", "_sum", "_count")} if "| histogram |" in row else {name}
    for path, text in tree.items():
        if path == ALERTS or path.startswith("deploy/grafana/") and path.endswith(".json"):
            for number, line in lines(text):
                for name in re.findall(NAME, line):
                    if name not in known:
                        yield finding(path, number, f"{DOC} doesn't tell of {name}")


@rule(bad=[{DOC: "| `crossfade_a` | gauge | | | CrossfadeGone |\n", ALERTS: "- alert: CrossfadeA\n  expr: crossfade_a > 0\n"},
           {DOC: "CrossfadeA\n", ALERTS: "- alert: CrossfadeA\n  runbook: docs/operations.md#gone\n", RUNBOOK: "## Here\n"}],
      good=[{DOC: "CrossfadeA\n", ALERTS: "- alert: CrossfadeA\n  runbook: docs/operations.md#stop-and-go\n", RUNBOOK: "## Stop, and go\n"}])
def alerts_are_documented_and_lead_to_the_runbook(tree):
    alerts = set(re.findall(r"- alert: (\w+)", tree.get(ALERTS, "")))
    for number, line in lines(tree.get(DOC, "")):
        for name in re.findall(r"\bCrossfade[A-Z]\w+", line):
            if name not in alerts:
                yield finding(DOC, number, f"{ALERTS} has no {name}")
    anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
               for heading in re.findall(r"^#+ (.*)$", tree.get(RUNBOOK, ""), re.MULTILINE)}
    for number, line in lines(tree.get(ALERTS, "")):
        if (match := re.search(r"- alert: (\w+)", line)) and match.group(1) not in tree.get(DOC, ""):
            yield finding(ALERTS, number, f"{DOC} doesn't tell of {match.group(1)}")
        if (match := re.search(rf"runbook: {RUNBOOK}#(\S+)", line)) and match.group(1) not in anchors:
            yield finding(ALERTS, number, f"{RUNBOOK} has no heading for #{match.group(1)}")
