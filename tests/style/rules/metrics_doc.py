"""The documents, the alerts and the dashboard speak of the metrics that there are."""

import re

from rules import finding, rule
from tree import is_cpp, lines

DOC, ALERTS, RUNBOOK = "docs/metrics.md", "deploy/prometheus/alerts.yml", "docs/operations.md"
NAME = r"\bcrossfade_[a-z0-9_]+"
MONITORING, LABELS, CHART = (f"helm/crossfade/{name}" for name in ("templates/monitoring.yaml", "templates/_names.tpl", "Chart.yaml"))


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


# Gauges of what is in a database: each process that follows the stream exports the same.
SAID_BY_EACH = r"crossfade_(drift_rows|dead_letters_waiting|ddl_paused_tables|ddl_waiting_changes)\b"


@rule(bad=[{ALERTS: "expr: sum by (table) (crossfade_drift_rows) > 0\n"},
           {"deploy/grafana/d.json": '"sum(crossfade_dead_letters_waiting{stream=\\"a\\"})"\n'}],
      good=[{ALERTS: "expr: sum(max by (stream, table) (crossfade_drift_rows)) > 0\n"},
            {ALERTS: "expr: max(crossfade_ddl_paused_tables) > 0\nexpr: sum(crossfade_ddl_waiting)\n"}])
def what_each_process_says_is_not_added_up(tree):
    for path, text in tree.items():
        if path == ALERTS or path.startswith("deploy/grafana/") and path.endswith(".json"):
            for number, line in lines(text):
                if re.search(SAID_BY_EACH, line) and not re.search(rf"max( by \([^)]*\))? ?\({SAID_BY_EACH}", line):
                    yield finding(path, number, "several crossfade-cdc say the same rows: max by (...) before sum")


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


_MONITORED = {MONITORING: 'kind: Service\n  labels:\n    {{- include "crossfade.labels" . }}\nkind: ServiceMonitor\nspec:\n  jobLabel: app/name\n',
              LABELS: "app/name: {{ $root.Chart.Name }}\n", CHART: "name: crossfade\n"}


# Without jobLabel it is the Service's name, which is the release's.
@rule(bad=[{**_MONITORED, MONITORING: _MONITORED[MONITORING].replace("jobLabel", "label"), ALERTS: 'expr: up{job="crossfade"} == 0\n'},
           {**_MONITORED, MONITORING: _MONITORED[MONITORING].replace("include", "omit"), ALERTS: 'expr: up{job="crossfade"} == 0\n'},
           {**_MONITORED, CHART: "name: other\n", ALERTS: 'expr: up{job="crossfade"} == 0\n'},
           {**_MONITORED, LABELS: "app/name: {{ $root.Release.Name }}\n", ALERTS: 'expr: up{job="crossfade"} == 0\n'}],
      good=[{**_MONITORED, ALERTS: 'expr: up{job="crossfade"} == 0\n'}, {ALERTS: "expr: up == 0\n"}])
def alerts_name_the_job_that_the_chart_makes(tree):
    monitoring = tree.get(MONITORING, "")
    services, _, monitor = monitoring.partition("kind: ServiceMonitor\n")
    label = re.search(r"^  jobLabel: (\S+)$", monitor, re.MULTILINE)
    has_it = label and re.search(rf"^{re.escape(label.group(1))}: {{{{ \$root\.Chart\.Name }}}}$", tree.get(LABELS, ""), re.MULTILINE)
    name = re.search(r"^name: (\S+)$", tree.get(CHART, ""), re.MULTILINE)
    made = name.group(1) if has_it and name and 'include "crossfade.labels"' in services else "the Service's name"
    for number, line in lines(tree.get(ALERTS, "")):
        for job in re.findall(r'job="([^"]+)"', line):
            if job != made:
                yield finding(ALERTS, number, f"{MONITORING} makes the job {made}, not {job}")


@rule(bad=[{ALERTS: 'expr: sum by (stream) (crossfade_applier_state{state="applying"}) == 0\n'},
           {ALERTS: "expr: sum(crossfade_a) == 0 or absent(crossfade_b)\n"}],
      good=[{ALERTS: "expr: sum(crossfade_a) == 0 or absent(crossfade_a)\n"},
            {ALERTS: "expr: max(crossfade_a) > 0 and sum(increase(crossfade_b[1m])) == 0\n"}])
def alerts_on_nobody_see_that_nobody_is_there(tree):
    for number, line in lines(tree.get(ALERTS, "")):
        match = re.search(rf"expr: sum(?: by \([^)]*\))? ?\(({NAME}).*\) == 0", line)
        if match and f"or absent({match.group(1)})" not in line:
            yield finding(ALERTS, number, f"when the last one is gone its series are, too: or absent({match.group(1)})")
