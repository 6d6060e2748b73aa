"""Makes a C header of named queries: embed_queries.py OUT.h FILE.sql..."""
import json
import re
import sys


def read_queries(path):
    """Yields (name, sql) for each `-- name: x` section; comment lines are dropped."""
    name, lines = None, []
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        found = re.match(r"--\s*name:\s*([a-z][a-z0-9_]*)\s*$", line)
        if found:
            if name:
                yield name, "\n".join(lines)
            name, lines = found.group(1), []
        elif line.lstrip().startswith("--") or not line.strip():
            continue
        elif name is None:
            sys.exit(f"{path}:{number}: SQL before the first `-- name:` line")
        else:
            lines.append(line.rstrip())
    if name:
        yield name, "\n".join(lines)


def c_string(sql):
    return "\n    ".join(json.dumps(line + "\n", ensure_ascii=True) for line in sql.rstrip().rstrip(";").split("\n"))


def main(out, paths):
    seen = {}
    text = ["/* Generated from queries/*.sql by tools/embed_queries.py. */", "#pragma once", '#include "portal/db/db.h"', ""]
    for path in paths:
        for name, sql in read_queries(path):
            if name in seen:
                sys.exit(f"{path}: query {name} stands in {seen[name]} too")
            seen[name] = path
            text.append(f'static const struct db_query Q_{name.upper()} __attribute__((unused)) = {{"{name}",\n    {c_string(sql)}}};')
    open(out, "w", encoding="utf-8").write("\n".join(text) + "\n")


main(sys.argv[1], sys.argv[2:])
