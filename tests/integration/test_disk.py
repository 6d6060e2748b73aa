"""A full disk below the folders of runs: orders wait in words or go on from the journal; what was made is never forgotten."""
import os
import subprocess

import pytest

from integration.test_kill import NoNewDatabase
from support.platform import wait_for


@pytest.fixture
def small(own_soma):
    """small(mib, **config): an installation whose folder of runs is a disk of that size."""
    mounted = []

    def make(mib, **config):
        soma = own_soma(**config)
        runs = soma.folder / "node" / "runs"
        runs.mkdir(exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "none", runs], check=False, capture_output=True).returncode:
            pytest.skip("nobody may mount here")
        mounted.append((soma, runs))
        return soma, runs

    yield make
    for soma, runs in mounted:
        soma.nodes[0].stop()
        subprocess.run(["umount", runs], check=True)


def fill(folder):
    with open(folder / "ballast", "wb", buffering=0) as f:
        for step in (1 << 20, 4096, 1):
            try:
                while f.write(b"x" * step) == step:
                    pass
            except OSError:
                pass


def test_an_order_waits_in_words_for_room_on_the_disk(small):
    soma, runs = small(20)
    fill(runs)
    order = soma.order("wait-db", wait=False)["id"]
    waiting = wait_for("a reason to wait", 30, lambda: (o := soma.get_order(order))["reason"] and o)
    assert waiting["state"] == "planning" and "MiB left" in waiting["reason"] and "make room" in waiting["reason"] and "tried again" in waiting["reason"]
    assert any("MiB left" in event["data"]["message"] for event in soma.events(order) if event["type"] == "order.warning")
    (runs / "ballast").unlink()
    ended = soma.wait_order(order)
    assert ended["state"] == "ready" and not ended["reason"]


@pytest.mark.parametrize("engine", ["SOMA_TOFU", "SOMA_TERRAFORM"])
def test_a_disk_that_fills_in_mid_apply_loses_nothing(small, engine):
    if not os.environ.get(engine):
        pytest.skip(f"{engine} is not set")
    soma, runs = small(40, engine=os.environ[engine])
    with NoNewDatabase(soma) as stop:
        order = soma.order("full-db", wait=False)["id"]
        wait_for("the apply stands in its middle", 60, stop.waiting)
        fill(runs)
    wait_for("the end of that apply", 60, lambda: any(run["phase"] == "apply" and run["outcome"] for run in soma.get_order(order)["runs"]))
    (runs / "ballast").unlink()
    ended = soma.wait_order(order)
    assert ended["state"] == "ready", ended["reason"]
    assert soma.must(200, "GET", "/api/v1/services/full-db").json["resources"] == 2
    assert soma.destroy("full-db")["state"] == "ready"
    assert soma.workloads.sql("select (select count(*) from pg_database where datname = 'full-db'), (select count(*) from pg_roles where rolname = 'full-db')") == [["0", "0"]]
