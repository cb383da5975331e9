"""Calls and forms that have a better one here."""

import re

from rules import finding, rule
from tree import code, is_cpp, lines

BANNED = [
    (r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\b|(?<![\w.>])sleep\s*\(", "wait for the condition, not for time"),
    (r"\basio::detached\b", "an owner stops its tasks and waits for them; detached swallows their errors"),
    (r"\.\s*detach\s*\(\s*\)", "a thread has an owner that joins it"),
    (r"\b(?:std::)?(?:strcpy|strcat|sprintf|vsprintf|gets|strtok|tmpnam|mktemp)\s*\(", "unbounded or not thread-safe"),
    (r"\b(?:std::)?(?:localtime|gmtime|asctime|ctime)\s*\(", "not thread-safe: take the _r form or chrono"),
    (r"(?<![\w.>])(?:std::)?(?:system|popen)\s*\(", "no shell: run programs by their arguments"),
    (r"(?<![\w.>])(?:std::)?s?rand\s*\(", "take <random>"),
    (r"\bstd::endl\b", "flushes: write '\\n'"),
    (r"\bstd::regex\b", "recursive, and unbounded in time on input of others"),
]
PRINTS = r"\bstd::(?:cout|cerr|clog)\b|\b(?:std::)?(?:printf|fprintf|puts|fputs)\s*\("
MAY_PRINT = re.compile(r"(ctl|demo|tests)/|.*\b(main|command_line)\.cpp$")

# (path, what the line holds): the reason. An entry that nothing needs any more is a finding.
ALLOWED = {
    ("tests/chaos/client.cpp", "sleep_for"): "an application pauses before it connects again",
    ("tests/bench/mirror_limit.cpp", "sleep_until"): "transactions come at a rate: the time is what is waited for",
    ("tests/support/eventually.hpp", "sleep_for"): "the one place that waits between two looks at a condition",
    ("ctl/backfill/live.cpp", "sleep_for"): "progress is a row of a database: there is nothing to be woken by",
    ("ctl/ddl/command.cpp", "sleep_for"): "progress is a row of a database: there is nothing to be woken by",
    ("ctl/deadletters/command.cpp", "sleep_for"): "progress is a row of a database: there is nothing to be woken by",
    ("ctl/verify/command.cpp", "sleep_for"): "progress is a row of a database: there is nothing to be woken by",
    ("tests/support/mock_kafka_main.cpp", "std::endl"): "its starter waits for the line",
}


def allowed(path, line):
    return any(path == where and what in line for where, what in ALLOWED)


@rule(bad=[{"tests/unit/a_test.cpp": "void f() { std::this_thread::sleep_for(1ms); }\n"},
           {"lib/a.cpp": "void f() { ::sleep(1); }\n"},
           {"lib/a.cpp": "void f() { usleep (1); }\n"},
           {"lib/a.cpp": "auto t = asio::co_spawn(io, g(), asio::detached);\n"},
           {"lib/a.cpp": "std::thread(f).detach();\n"},
           {"lib/a.cpp": "strcpy(a, b);\n"},
           {"lib/a.cpp": "auto* t = std::localtime(&now);\n"},
           {"lib/a.cpp": "std::system(command);\n"},
           {"lib/a.cpp": "int x = rand();\n"},
           {"lib/a.cpp": "out << std::endl;\n"},
           {"lib/a.cpp": "std::regex r(text);\n"}],
      good=[{"lib/a.cpp": "// sleep(1)\nauto s = \"rand()\"; backoff.sleep(1); strand(x); error.system(); file_system(x);\n"}])
def banned_calls(tree):
    for path, text in tree.items():
        for number, line in lines(code(text)) if is_cpp(path) else ():
            for pattern, why in BANNED:
                if re.search(pattern, line) and not allowed(path, line):
                    yield finding(path, number, f"{line.strip()}: {why}")


@rule(bad=[{"lib/a.cpp": "std::cout << 1;\n"}, {"proxy/capture/a.cpp": 'std::fprintf(stderr, "x");\n'}],
      good=[{"ctl/a.cpp": "std::cout << 1;\n", "proxy/main.cpp": "std::cerr << 1;\n", "lib/a.cpp": "snprintf(b, n, f);\n"}])
def only_commands_print(tree):
    for path, text in tree.items():
        for number, line in lines(code(text)) if is_cpp(path) and not MAY_PRINT.match(path) else ():
            if re.search(PRINTS, line) and not allowed(path, line):
                yield finding(path, number, f"{line.strip()}: log with spdlog")


@rule(bad=[{"tests/support/wait.py": "import time\ntime.sleep(1)\n"}],
      good=[{"tests/support/wait.py": "proc.wait(timeout=3)\n"}])
def python_tests_do_not_sleep(tree):
    for path, text in tree.items():
        for number, line in lines(text) if path.startswith("tests/") and path.endswith(".py") else ():
            if re.search(r"^\s*[^#\"']*\btime\.sleep\(|\bfrom time import.*\bsleep\b", line) and not allowed(path, line):
                yield finding(path, number, "wait for the condition, not for time")


@rule(bad=[{"lib/a.hpp": "#pragma once\nusing namespace std;\n"}, {"lib/a.cpp": "using namespace boost::asio;\n"},
           {"tests/support/a.hpp": "using namespace crossfade;\n"}],
      good=[{"lib/a.cpp": "using namespace std::chrono;\nusing namespace std::string_view_literals;\n",
             "tests/unit/a_test.cpp": "using namespace crossfade;\n"}])
def using_namespace_is_for_what_has_no_other_way(tree):
    for path, text in tree.items():
        for number, line in lines(code(text)) if is_cpp(path) else ():
            taken = re.search(r"\busing namespace ([\w:]+)", line)
            if taken and (path.endswith(".hpp") or not re.fullmatch(r"std::chrono|.*literals|.*awaitable_operators|crossfade", taken.group(1))
                          and not path.startswith("tests/")):
                yield finding(path, number, line.strip())


@rule(bad=[{"lib/a.cpp": "try { f(); } catch (...) {}\n"}, {"lib/a.cpp": "} catch (const error&) {\n}\n"}],
      good=[{"lib/a.cpp": "} catch (const error&) {\n    // the peer is gone; nothing to tell it\n}\n"}])
def no_silent_catch(tree):
    for path, text in tree.items():
        for match in re.finditer(r"catch\s*\([^)]*\)\s*\{\s*\}", text) if is_cpp(path) else ():
            yield finding(path, text.count("\n", 0, match.start()) + 1, "a catch that is empty gives its reason")


@rule(bad=[{}])
def the_allow_list_is_needed(tree):
    for path, what in ALLOWED:
        if what not in tree.get(path, ""):
            yield finding("tests/style/rules/calls.py", 1, f"nothing needs the entry for {path} any more")
