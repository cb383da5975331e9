"""What the documents promise is there."""

import posixpath
import re

from rules import finding, rule
from tree import is_cpp, lines


@rule(bad=[{"README.md": "Run `script/fly`.\n"}, {"CONTRIBUTING.md": "see script/test.d/x.sh\n"}],
      good=[{"README.md": "Run `script/test`.\n", "script/test": ""}])
def scripts_that_documents_name_exist(tree):
    folders = {posixpath.dirname(path) for path in tree}
    for path, text in tree.items():
        for number, line in lines(text) if path.endswith(".md") else ():
            for name in re.findall(r"(?<![\w/.-])(?:\.ci|script)/[\w./-]*\w", line):
                if name not in tree and name not in folders:
                    yield finding(path, number, f"there is no {name}")


@rule(bad=[{"README.md": "`script/test --fast`\n", "script/test": "--slow"},
           {"README.md": "crossfade-proxy --confg x\n", "proxy/main.cpp": '"--config"'}],
      good=[{"README.md": "script/test --slow | x --fast\n", "script/test": "--slow"}])
def flags_that_documents_name_exist(tree):
    owners = {"crossfade-proxy": ("proxy/", "lib/"), "crossfade-cdc": ("cdc/", "lib/"), "crossfade": ("ctl/", "lib/")}
    for path, text in tree.items():
        for number, line in lines(text) if path.endswith(".md") else ():
            for command, rest in re.findall(r"(?<![\w/.-])(?:build/release/bin/)?(script/\w+|crossfade(?:-proxy|-cdc)?)(?= )([^`|;&#]*)", line):
                where = owners.get(command, (command,))
                code = "\n".join(tree[name] for name in tree if name.startswith(where))
                for flag in re.findall(r"(?<!\S)--[a-z][\w-]*", rest) if code else ():
                    if not re.search(re.escape(flag) + r"(?![\w-])", code) and flag not in ("--help", "--version"):
                        yield finding(path, number, f"{command} has no {flag}")


@rule(bad=[{"docs/a.md": "see [b](b.md)\n"}, {"README.md": "[x](docs/gone.md#part)\n"}],
      good=[{"docs/a.md": "[b](b.md#x) [c](https://example.org) [d](#d) [e](../lib/)\n", "docs/b.md": "", "lib/a.cpp": ""}])
def links_lead_somewhere(tree):
    folders = {"/".join(path.split("/")[:depth]) for path in tree for depth in range(path.count("/") + 1)}
    for path, text in tree.items():
        for number, line in lines(text) if path.endswith(".md") else ():
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                name = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
                if name not in tree and name not in folders:
                    yield finding(path, number, f"there is no {target}")


METRIC = r'"(crossfade_[a-z0-9_]+)"'


@rule(bad=[{"docs/metrics.md": "none\n", "proxy/a.cpp": 'f("crossfade_sessions")\n'},
           {"docs/metrics.md": "`crossfade_sessions`\n", "proxy/a.cpp": 'f("crossfade_other_total")\n'}],
      good=[{"docs/metrics.md": "`crossfade_sessions`\n", "proxy/a.cpp": '.Name("crossfade_sessions")\n'}])
def metrics_are_documented(tree):
    documented = set(re.findall(r"\bcrossfade_[a-z0-9_]+", tree.get("docs/metrics.md", "")))
    for path, text in tree.items():
        if not is_cpp(path) or not path.startswith(("lib/", "proxy/", "cdc/")) or not documented and "docs/metrics.md" not in tree:
            continue
        for number, line in lines(text):
            for name in re.findall(METRIC, line):
                if name not in documented:
                    yield finding(path, number, f"docs/metrics.md doesn't tell of {name}")
