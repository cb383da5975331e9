"""Files: their names, their size, and that the build knows them."""

import posixpath
import re

from rules import finding, rule
from tree import code, is_cpp, lines

LONGEST = 500
VAGUE = {"util", "utils", "common", "helper", "helpers", "misc"}


@rule(bad=[{"lib/a.hpp": "#include <vector>\n#pragma once\n"}, {"lib/a.hpp": "#ifndef A\n#define A\n#endif\n"}],
      good=[{"lib/a.hpp": "// why\n#pragma once\n"}])
def headers_begin_with_pragma_once(tree):
    for path, text in tree.items():
        if path.endswith(".hpp") and not code(text).lstrip().startswith("#pragma once"):
            yield finding(path, 1, "a header begins with #pragma once")


@rule(bad=[{"lib/util/a.cpp": ""}, {"lib/model/helpers.hpp": ""}, {"script/misc/run": ""}],
      good=[{"lib/model/utilisation.hpp": ""}])
def names_say_what_is_in_them(tree):
    for path in tree:
        parts = path.split("/")
        if VAGUE & {*parts[:-1], posixpath.splitext(parts[-1])[0]}:
            yield finding(path, 1, "a folder or file is named for a concept, never util, common, helpers or misc")


@rule(bad=[{"lib/a.cpp": "int x;\n" * (LONGEST + 1)}], good=[{"lib/a.cpp": "int x;\n" * LONGEST}, {"LICENSE": "x\n" * 900}])
def no_file_is_too_long(tree):
    for path, text in tree.items():
        if (is_cpp(path) or path.endswith((".py", ".proto", ".cmake")) or path.startswith("script/")) \
                and text.count("\n") > LONGEST:
            yield finding(path, LONGEST, f"{text.count(chr(10))} lines: look for the second concept")


def named_by_cmake(tree):
    """(CMake file, line, source path) of every source that a CMake file names."""
    for path, text in tree.items():
        if not path.endswith(("CMakeLists.txt", ".cmake")):
            continue
        for number, line in lines(text):
            for name in re.findall(r"[\w./${}-]+\.(?:cpp|cc|proto)\b", line.split("#")[0]):
                name = re.sub(r"\$\{(?:CMAKE|PROJECT)_SOURCE_DIR\}/", "/", name)
                name = name.replace("${CMAKE_CURRENT_SOURCE_DIR}/", "")
                if "$" not in name:
                    yield path, number, posixpath.normpath(name[1:] if name[0] == "/" else
                                                           posixpath.join(posixpath.dirname(path), name))


@rule(bad=[{"lib/a/CMakeLists.txt": "crossfade_library(NAME a SRCS a.cpp)\n"}],
      good=[{"lib/a/CMakeLists.txt": "# gone.cpp\ncrossfade_library(NAME a SRCS a.cpp)\n", "lib/a/a.cpp": ""}])
def cmake_names_files_that_exist(tree):
    for path, number, source in named_by_cmake(tree):
        if source not in tree:
            yield finding(path, number, f"there is no {source}")


@rule(bad=[{"lib/a/CMakeLists.txt": "crossfade_library(NAME a SRCS b.cpp)\n", "lib/a/a.cpp": ""}],
      good=[{"CMakeLists.txt": "add_library(a STATIC ${CMAKE_SOURCE_DIR}/lib/a/a.cpp)\n", "lib/a/a.cpp": ""}])
def every_source_is_built(tree):
    built = {source for _, _, source in named_by_cmake(tree)}
    for path in tree:
        if path.endswith(".cpp") and path not in built:
            yield finding(path, 1, "no CMakeLists.txt names this file")


@rule(bad=[{"script/run": "#!/bin/bash\necho\n"}, {"script/run": "#!/usr/bin/env bash\nset -e\n"}],
      good=[{"script/run": "#!/usr/bin/env bash\n# why\nset -euo pipefail\n"},
            {"script/bench": "#!/usr/bin/env python3\nimport sys\n"}])
def shell_scripts_stop_at_the_first_error(tree):
    for path, text in tree.items():
        first = text.split("\n", 1)[0]
        if first.startswith("#!") and first.endswith("sh") and \
                (first != "#!/usr/bin/env bash" or not re.search(r"^set -euo pipefail$", text, re.MULTILINE)):
            yield finding(path, 1, "a shell script is bash with set -euo pipefail")
