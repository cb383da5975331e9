"""What holds for any text."""

import re

from rules import finding, rule
from tree import lines

# The rules name what they look for.
OWN = "tests/style/"


@rule(bad=[{"lib/a.cpp": "int\tx;\n"}, {"README.md": "x \n"}, {"lib/a.cpp": "int x;"}, {"a.py": "x\r\n"}, {"a.py": "x\n\n"}],
      good=[{"a.py": "x = 1\n"}, {"empty.txt": ""}, {"demo/a.sh": "cat <<-X\n\tx\nX\n"}])
def whitespace_is_clean(tree):
    for path, text in tree.items():
        if path.endswith((".sql.out", ".patch", ".tgz")) or path == "LICENSE":
            continue
        for number, line in lines(text):
            if path.endswith((".sh", ".go")):
                line = line.lstrip("\t")  # a here-document's; gofmt's
            if "\t" in line or line != line.rstrip():
                yield finding(path, number, "a tab, a carriage return or a blank at the end")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield finding(path, text.count("\n"), "ends with one newline")


@rule(bad=[{"lib/a.cpp": "// TODO: later\n"}, {"script/x": "# FIXME\n"}, {"lib/a.cpp": "// XXX(#) that\n"}],
      good=[{"lib/a.cpp": "// TODO(#12): later\n"}])
def what_is_to_be_done_can_be_found_again(tree):
    for path, text in tree.items():
        for number, line in lines(text) if not path.startswith(OWN) else ():
            if re.search(r"\b(?:TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))", line):
                yield finding(path, number, "names no issue: TODO(#12)")


HOSTS = r"repo1?\.maven(?:\.apache)?\.org|registry\.npmjs\.org|pypi\.org|proxy\.golang\.org|(?:deb|snapshot)\.debian\.org|\bpkg\.dev\b"


@rule(bad=[{"script/x": "cd /work/main\n"}, {"docs/a.md": "see /work/shared/design.md\n"},
           {"Dockerfile": "RUN curl https://repo1.maven.org/x\n"}],
      good=[{"lib/a.cpp": "#include <boost/asio/work/main.hpp>\n"}, {"docs/a.md": "the network/work/ratio\n"}])
def nothing_of_one_workplace(tree):
    for path, text in tree.items():
        for number, line in lines(text) if not path.startswith(OWN) else ():
            if re.search(rf"(?<![\w/.<-])/work/|{HOSTS}", line):
                yield finding(path, number, "a path or host that other machines don't have")
