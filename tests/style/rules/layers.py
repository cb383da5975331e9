"""Who may include whom. Dependencies point one way; a codec knows no socket."""

import posixpath
import re

from rules import finding, rule
from tree import code, includes, is_cpp, lines

# What a folder may include of the project besides itself. The longest matching prefix counts; tests see all.
ALLOWED = {
    "lib/model": (),
    "lib/pgwire": ("lib/model",),
    "lib/pgoutput": ("lib/model",),
    "lib/events": ("lib/model", "crossfade/v1"),
    "lib/auth": ("lib/pgwire",),
    "lib/sql": (),
    "lib/settings": ("lib/model", "lib/auth"),
    "lib": ("lib", "crossfade/v1"),
    "proxy/strategy": ("lib/model", "lib/settings", "lib/pgwire", "lib/sql"),
    "proxy/portrait": ("lib/pgwire", "lib/sql"),
    "proxy/console": ("lib/model", "lib/settings", "lib/pgwire"),
    "proxy": ("proxy", "lib"),
    "cdc": ("cdc", "lib"),
    "ctl": ("ctl", "lib"),
    "demo": ("demo", "lib"),
}

SOCKETS = r"boost/asio|sys/socket|netinet/|sys/un\.h"
DATABASES = r"libpq-fe\.h|libpq/|pqxx"
LOGS = r"spdlog|prometheus"
KAFKA = r"librdkafka"
OUTSIDE = {
    "lib/model": f"{SOCKETS}|{DATABASES}|{LOGS}|{KAFKA}|yaml-cpp|google/protobuf",
    "lib/pgwire": f"{SOCKETS}|{DATABASES}|{LOGS}|{KAFKA}|yaml-cpp",
    "lib/auth": f"{SOCKETS}|{DATABASES}|{LOGS}|{KAFKA}|yaml-cpp",
    "lib/sql": f"{SOCKETS}|{DATABASES}|{LOGS}|{KAFKA}|yaml-cpp|google/protobuf",
    "lib/pgoutput": f"{SOCKETS}|{DATABASES}|{LOGS}|{KAFKA}|yaml-cpp",
    "lib/events": f"{SOCKETS}|{DATABASES}|{LOGS}|{KAFKA}|yaml-cpp",
    # libpq and librdkafka are asked there whether a dsn and a property are well-formed.
    "lib/settings": f"{SOCKETS}|{LOGS}",
    "proxy/strategy": f"{SOCKETS}|{DATABASES}|{LOGS}|{KAFKA}",
    "proxy/portrait": f"{SOCKETS}|{DATABASES}|{LOGS}|{KAFKA}",
    "proxy/console": f"{SOCKETS}|{DATABASES}|{LOGS}|{KAFKA}",
}


def innermost(folders, path):
    return max((folder for folder in folders if path.startswith(folder + "/")), key=len, default=None)


@rule(bad=[{"proxy/main.cpp": '#include "cdc/apply/batch.hpp"\n'},
           {"cdc/main.cpp": '#include "proxy/frontend/session.hpp"\n'},
           {"lib/store/schema.cpp": '#include "cdc/apply/batch.hpp"\n'},
           {"lib/model/lsn.cpp": '#include "lib/settings/flags.hpp"\n'},
           {"ctl/status.cpp": '#include "cdc/apply/batch.hpp"\n'},
           {"proxy/strategy/plan.cpp": '#include "proxy/frontend/session.hpp"\n'}],
      good=[{"proxy/main.cpp": '#include "lib/model/lsn.hpp"\n#include "proxy/admin/server.hpp"\n'},
            {"lib/model/lsn.cpp": '// #include "cdc/apply/batch.hpp"\n#include "lib/model/lsn.hpp"\n'}])
def dependencies_point_one_way(tree):
    for path, text in tree.items():
        folder = innermost(ALLOWED, path)
        if folder is None or not is_cpp(path):
            continue
        for line, name, quoted in includes(text):
            if quoted and not any(name.startswith(to + "/") for to in (folder, *ALLOWED[folder])):
                yield finding(path, line, f"{folder} may not include {name}")


@rule(bad=[{"lib/pgwire/frame.cpp": "#include <boost/asio/buffer.hpp>\n"},
           {"lib/model/lsn.cpp": "#include <spdlog/spdlog.h>\n"},
           {"proxy/strategy/plan.cpp": "#include <libpq-fe.h>\n"}],
      good=[{"lib/pgwire/frame.cpp": "#include <vector>\n"}, {"lib/kafka/client.cpp": "#include <librdkafka/rdkafka.h>\n"}])
def codecs_and_decisions_know_no_sockets_logs_or_databases(tree):
    for path, text in tree.items():
        folder = innermost(OUTSIDE, path)
        if folder is None or not is_cpp(path):
            continue
        for line, name, _ in includes(text):
            if re.match(OUTSIDE[folder], name):
                yield finding(path, line, f"{folder} may not include {name}")


@rule(bad=[{"lib/model/lsn.cpp": '#include "lsn.hpp"\n', "lib/model/lsn.hpp": ""},
           {"lib/model/lsn.cpp": '#include "../model/lsn.hpp"\n', "lib/model/lsn.hpp": ""}],
      good=[{"lib/model/lsn.cpp": '#include "lib/model/lsn.hpp"\n#include "crossfade/v1/events.pb.h"\n',
             "lib/model/lsn.hpp": ""}])
def own_headers_are_named_from_the_root(tree):
    for path, text in tree.items():
        for line, name, quoted in includes(text) if is_cpp(path) else ():
            if quoted and not name.endswith(".pb.h") and name not in tree:
                yield finding(path, line, f'no {name} in the project: quote own headers from the root, others take <>')


@rule(bad=[{"lib/model/old.hpp": "", "lib/model/old.cpp": '#include "lib/model/old.hpp"\n'}],
      good=[{"lib/model/lsn.hpp": "", "lib/model/position.cpp": '#include "lib/model/lsn.hpp"\n'}])
def every_header_is_included_by_another_than_its_own_source(tree):
    included = {}
    for path, text in tree.items():
        for _, name, _ in includes(text) if is_cpp(path) else ():
            included.setdefault(name, set()).add(path)
    for path in tree:
        if path.endswith(".hpp") and not included.get(path, set()) - {path[:-3] + "cpp"}:
            yield finding(path, 1, "nobody includes this header")


@rule(bad=[{"lib/model/lsn.hpp": "namespace crossfade::wal {\n}\n"},
           {"proxy/admin/server.cpp": "int x;\n"}],
      good=[{"proxy/admin/server.cpp": "namespace crossfade::proxy::admin {\n}\n"},
            {"proxy/main.cpp": "int main() {}\n"}])
def the_namespace_is_the_folder(tree):
    for path, text in tree.items():
        folder = posixpath.dirname(path)
        if not is_cpp(path) or not path.startswith(("lib/", "proxy/", "cdc/", "ctl/")) or path.endswith("main.cpp"):
            continue
        wanted = "crossfade::" + folder.removeprefix("lib/").replace("/", "::")
        opened = [match.group(1) for _, line in lines(code(text)) if (match := re.match(r"namespace (crossfade[\w:]*) \{", line))]
        if not any(name == wanted or name.startswith(wanted + "::") for name in opened):
            yield finding(path, 1, f"opens no namespace {wanted}")
