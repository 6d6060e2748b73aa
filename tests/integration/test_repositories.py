"""Template repositories that are huge, hostile or gone, through a running node: a problem entry each, and nothing else changes."""
import json
import subprocess
import sys

import pytest

from integration.test_terraform import golden_path
from support.platform import CHECKOUT, git, wait_for

GIB = 1 << 30


def pss_kib(soma):
    """Memory of the node's processes, children that fetch included."""
    total = 0
    for pid in soma.processes():
        try:
            lines = open(f"/proc/{pid}/smaps_rollup", encoding="utf-8").read().splitlines()
            if open(f"/proc/{pid}/comm", encoding="utf-8").read().strip() == "somad":
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, ProcessLookupError):
            continue
    return total


def large_file(folder):
    with open(folder / "large.bin", "wb") as f:
        f.truncate(GIB)


def lfs_pointer(folder):
    (folder / "data.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d7a" * 16 + "\nsize 12345\n")


def submodule(folder):
    git(folder.parent, "update-index", "--add", "--cacheinfo", f"160000,{'1234' * 10},{folder.name}/vendor")


def symlink_cycle(folder):
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")


def climbing_link(folder):
    (folder / "up.tf").symlink_to("../../../../etc/passwd")


HOSTILE = {"large": (large_file, "large.bin"), "lfs": (lfs_pointer, "LFS"), "submodule": (submodule, "submodule"), "cycle": (symlink_cycle, "symbolic link"),
           "climbing": (climbing_link, "symbolic link")}
OUTPUT = 'output "x" {\n  value = 1\n}\n'


def refreshed(soma, name):
    soma.cli("templates", "refresh", name, "--wait", check=False)
    return soma.must(200, "GET", f"/api/v1/templates/repositories/{name}").json


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_folder_is_a_problem_entry_and_nothing_else(soma, tmp_path, what):
    spoil, word = HOSTILE[what]
    spoiled, beside = f"spoiled-{what}", f"beside-{what}"
    golden_path(tmp_path, spoiled, OUTPUT)
    golden_path(tmp_path, beside, OUTPUT)
    folder = soma.add_templates(f"hostile-{what}", tmp_path)
    before = soma.must(200, "GET", f"/api/v1/templates/{spoiled}").json
    memory = pss_kib(soma)
    git(folder, "add", "-A")
    spoil(folder / spoiled)
    if what != "submodule":
        git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", what)
    repository = refreshed(soma, f"hostile-{what}")
    assert any(word in p["reason"] + p["path"] and p["path"].startswith(spoiled) for p in repository["problems"]), repository
    assert all(not p["path"].startswith(beside) for p in repository["problems"]), repository
    assert soma.must(200, "GET", f"/api/v1/templates/{spoiled}").json["version"] == before["version"], "the version before stays"
    for name in (spoiled, beside):
        assert soma.order(name, template=name, parameters={})["state"] == "ready"
        assert soma.destroy(name)["state"] == "ready"
    assert pss_kib(soma) < memory + 100 * 1024


def test_a_repository_that_is_gone_keeps_its_golden_paths(soma, tmp_path):
    golden_path(tmp_path, "orphan", OUTPUT)
    folder = soma.add_templates("goes-away", tmp_path)
    folder.rename(tmp_path / "elsewhere")
    repository = refreshed(soma, "goes-away")
    assert repository["state"] == "failed" and "no repository" in json.dumps(repository), repository
    assert soma.order("orphan-service", template="orphan", parameters={})["state"] == "ready"
    assert soma.destroy("orphan-service")["state"] == "ready"
    (tmp_path / "elsewhere").rename(folder)
    assert refreshed(soma, "goes-away")["state"] == "ready"


def test_a_huge_repository_is_not_fetched_whole(soma, tmp_path):
    """300 MiB that do not fold, from a git host: refused at the limit; the node's memory stays what it was."""
    work = tmp_path / "work"
    golden_path(work, "huge", OUTPUT)
    git(work, "init", "-q", "-b", "main")
    git(work, "config", "core.compression", "0")
    git(work, "config", "core.bigFileThreshold", "1m")
    with open("/dev/urandom", "rb") as source, open(work / "huge" / "large.bin", "wb") as f:
        for _ in range(300):
            f.write(source.read(1 << 20))
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "huge")
    git(tmp_path, "clone", "-q", "--bare", "--shared", work, tmp_path / "huge.git")
    server = subprocess.Popen([sys.executable, CHECKOUT / "portal/git/testdata/serve.py", tmp_path, "plain"], stdout=subprocess.PIPE, text=True)
    try:
        memory, most = pss_kib(soma), 0
        soma.must(201, "POST", "/api/v1/templates/repositories", {"name": "huge", "url": f"http://127.0.0.1:{int(server.stdout.readline())}/huge.git"})
        def look():
            nonlocal most
            most = max(most, pss_kib(soma))
            seen = soma.must(200, "GET", "/api/v1/templates/repositories/huge").json
            return seen if seen["state"] not in ("new", "refreshing") else None
        repository = wait_for("a verdict", 120, look, 0.2)
        assert repository["state"] == "failed" and "256 MiB" in json.dumps(repository), repository
        assert most < memory + 400 * 1024, (memory, most)
        assert soma.order("not-huge")["state"] == "ready"
        assert soma.destroy("not-huge")["state"] == "ready"
        soma.must(204, "DELETE", "/api/v1/templates/repositories/huge")
    finally:
        server.kill()
        server.wait()
