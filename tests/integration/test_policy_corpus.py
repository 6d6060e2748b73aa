"""Hostile scripts in the sandbox of policies: each is stopped, refused or harmless, and the process answers a plain policy rightly afterwards.

A corpus is a folder with index.json (for each script the outcomes that are right) and input.json. Ours is tests/policy/hostile; SOMA_POLICY_CORPUS names others, with colons
between them. The time stands beside `limit_ms` and is not asserted."""
import json
import os
import subprocess

import pytest
from support.platform import BUILD, CHECKOUT

OURS = CHECKOUT / "tests/policy/hostile"
FOLDERS = [OURS, *filter(None, os.environ.get("SOMA_POLICY_CORPUS", "").split(":"))]


def scripts():
    for folder in map(type(OURS), FOLDERS):
        for entry in json.loads((folder / "index.json").read_text())["scripts"]:
            yield pytest.param(folder, entry, id=f"{folder.name}/{entry['file']}")


def run(folder, entry):
    command = [BUILD / "policy-corpus", folder / entry["file"], folder / "input.json", str(entry.get("calls", 1))]
    if entry.get("then"):
        command.append(folder / entry["then"])
    done = subprocess.run([str(c) for c in command], check=False, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stdout.count(b"\n") == 1, "whatever a script says stays on its one line"
    return json.loads(done.stdout)


def text_of(answer):
    """What a person would read of it: the texts in an answer."""
    value = answer["value"]
    return value if isinstance(value, str) else json.dumps(value)


def outcomes(runs):
    """Names of the index that fit what happened."""
    first = runs[0]["run"]
    if first["outcome"] != "decided":
        return {first["outcome"]}
    found = {"contained"} if text_of(first) == "contained" else {"escaped"}
    if all(r["run"]["value"] == first["value"] for r in runs):
        found.add("same")
    return found


@pytest.mark.parametrize(("folder", "entry"), scripts())
def test_a_hostile_script_ends_as_it_should(folder, entry):
    runs = [run(folder, entry) for _ in range(4 if "same" in entry["expected"] else 1)]
    for r in runs:
        for part in ("run", "then"):
            assert not text_of(r.get(part, {"value": None})).startswith("BREACH")
        assert r["sound"], "a plain policy is answered rightly afterwards"
    if entry.get("then"):
        assert runs[0]["then"]["outcome"] in ("decided", "error")
    print(f"{entry['file']:45} {runs[0]['run']['outcome']:10} {runs[0]['run']['us'] / 1000:8.1f} ms of {entry.get('limit_ms', 250)}   {runs[0]['run']['why'] or text_of(runs[0]['run'])[:60]}")
    assert outcomes(runs) & set(entry["expected"]), runs[0]


def test_the_corpus_is_large_enough():
    names = [e["file"] for e in json.loads((OURS / "index.json").read_text())["scripts"]]
    assert len(names) >= 40
    assert sorted(names + ["victim.lua"]) == sorted(p.name for p in OURS.glob("*.lua"))
