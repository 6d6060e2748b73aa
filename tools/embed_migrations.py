"""Makes a C header of the migrations: embed_migrations.py OUT.h FILE.sql...  (once/NNNN_name.sql in order, repeat/name.sql by name)"""
import hashlib
import json
import os
import sys


def rows(paths, folder):
    for path in sorted(p for p in paths if os.path.basename(os.path.dirname(p)) == folder):
        sql = open(path, encoding="utf-8").read()
        digest = hashlib.sha256(sql.encode()).hexdigest()
        text = "\n    ".join(json.dumps(line + "\n") for line in sql.split("\n"))
        yield f'    {{"{os.path.basename(path)[:-4]}", "{digest}",\n    {text}}},'


out, paths = sys.argv[1], sys.argv[2:]
text = ["/* Generated from migrations/ by tools/embed_migrations.py. */", "#pragma once", "struct migration { const char *name, *digest, *sql; };"]
for folder in ("once", "repeat"):
    text += [f"static const struct migration migrations_{folder}[] = {{", *rows(paths, folder), "    {0}};"]
open(out, "w", encoding="utf-8").write("\n".join(text) + "\n")
