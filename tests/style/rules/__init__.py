"""Every rule is a function from a tree (path -> text) to findings, and carries samples that show it at work."""

RULES = []


def rule(bad, good=()):
    """Registers a rule. Each tree of `bad` must give a finding, each of `good` none."""
    def register(check):
        check.bad, check.good = bad, good
        RULES.append(check)
        return check
    return register


def finding(path, line, message):
    return f"{path}:{line}: {message}"


from rules import calls, docs, layers, metrics_doc, sources, text  # noqa: E402,F401  (they register themselves)
