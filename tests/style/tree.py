"""The project's files as the rules see them: a mapping from path to text, so that a sample can stand in for it."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def read(root=ROOT):
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={root}", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True).stdout.decode().split("\0")
    tree = {}
    for name in sorted(set(filter(None, listed))):
        path = root / name
        if "/corpus/" in name or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            tree[name] = data.decode("utf-8", errors="replace")
    return tree


def is_cpp(path):
    return path.endswith((".cpp", ".hpp"))


def lines(text):
    return enumerate(text.split("\n"), start=1)


_TOKENS = re.compile(
    r'R"(?P<raw>[^()\\ ]{0,16})\(.*?\)(?P=raw)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'"
    r"|//[^\n]*|/\*.*?\*/", re.DOTALL)


def code(text, keep_includes=False):
    """The text with comments and literals blanked, line by line as it was."""
    def blank(match):
        token = match.group()
        if keep_includes and token.startswith('"'):
            start = text.rfind("\n", 0, match.start()) + 1
            if text[start:match.start()].lstrip().startswith("#include"):
                return token
        return re.sub(r"[^\n]", " ", token)
    return _TOKENS.sub(blank, text)


def includes(text):
    """(line, name, quoted) of every #include."""
    for number, line in lines(code(text, keep_includes=True)):
        match = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if match:
            yield number, match.group(1) or match.group(2), match.group(1) is not None
