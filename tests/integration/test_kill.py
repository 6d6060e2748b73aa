"""kill -9 of the roles while orders are in all states: each order ends as it should, nothing is there twice, nothing is left running."""
import os
import secrets
import signal
import time

import pytest

from support.platform import wait_for


def place(soma, names):
    return {name: soma.order(name, wait=False)["id"] for name in names}


def settle(soma, orders, seconds=240):
    return {name: soma.wait_order(order, seconds=seconds) for name, order in orders.items()}


def check_ready(soma, ended):
    for name, order in ended.items():
        assert order["state"] == "ready", (name, order["reason"], order["problem"])
        assert soma.workloads.sql(f"select count(*) from pg_database where datname = '{name}'") == [["1"]]
    assert soma.store.sql("select count(*) from soma.job_lease", "soma") == [["0"]]
    assert soma.store.sql("select count(*) from soma.run where ended_at is null", "soma") == [["0"]]
    left = []
    try:
        wait_for("no run folder and no process of a run is left", 30, lambda: not left_of_runs(soma, left))
    except AssertionError as late:
        raise AssertionError(f"{late}: {left}\n{soma.nodes[0].log.read_text()[-3000:]}") from None


def left_of_runs(soma, left):
    """Fills `left` with run folders (and what they hold) and command lines of leashes."""
    runs = soma.folder / "node" / "runs"
    left[:] = [(name, os.listdir(runs / name)) for name in os.listdir(runs)]
    left += [text for text in soma.left_after(0).values() if "soma-leash" in text]
    return left


@pytest.mark.parametrize("roles", [("work",), ("serve", "work")], ids="-".join)
def test_killed_roles_come_back_and_orders_end(own_soma, roles):
    soma = own_soma(lease_seconds=10)
    orders = place(soma, [f"kill-{i}" for i in range(20)])
    for _ in range(4):
        time.sleep(0.7)
        soma.nodes[0].kill(*roles)
    wait_for("the node is ready again", 60, soma.nodes[0].ready)
    ended = settle(soma, orders)
    check_ready(soma, ended)
    for name in list(orders)[:3]:
        assert soma.destroy(name)["state"] == "ready"
        assert soma.workloads.sql(f"select count(*) from pg_roles where rolname = '{name}'") == [["0"]]


def test_a_killed_serve_disturbs_no_run(own_soma):
    soma = own_soma()
    node = soma.nodes[0]
    orders = place(soma, [f"serve-{i}" for i in range(4)])
    work = node.role_pid("work")
    for _ in range(3):
        time.sleep(0.5)
        node.kill("serve")
    wait_for("the node is ready again", 60, node.ready)
    ended = settle(soma, orders)
    check_ready(soma, ended)
    assert node.role_pid("work") == work
    for order in ended.values():
        assert all(run["outcome"] == "ok" for run in order["runs"]), order["runs"]


def test_a_killed_parent_ends_both_roles_and_a_new_node_goes_on(own_soma):
    soma = own_soma(lease_seconds=10)
    node = soma.nodes[0]
    orders = place(soma, [f"parent-{i}" for i in range(3)])
    time.sleep(1)
    roles = [node.role_pid("serve"), node.role_pid("work")]
    for pid in (node.process.pid, *roles):
        os.kill(pid, signal.SIGKILL)
    node.process.wait()
    node.start()
    check_ready(soma, settle(soma, orders))


def test_a_second_node_shares_the_work(own_soma):
    soma = own_soma()
    second = soma.start("second")
    orders = place(soma, [f"shared-{i}" for i in range(6)])
    ended = settle(soma, orders)
    for name, order in ended.items():
        assert order["state"] == "ready", (name, order["reason"])
    assert soma.api("GET", f"/api/v1/orders/{orders['shared-0']}", url=second.url).json["state"] == "ready"
    nodes = soma.store.sql("select distinct node from soma.run", "soma")
    assert 1 <= len(nodes) <= 2


def test_the_database_may_go_away_and_come_back(own_soma):
    soma = own_soma()
    soma.store.stop("immediate")
    refused = wait_for("503 while the database is away", 20, lambda: next((a for a in [soma.api("GET", "/api/v1/services")] if a.status == 503), None))
    assert refused.headers["Retry-After"] and refused.json["type"].endswith("unavailable")
    assert wait_for("not ready", 10, lambda: soma.api("GET", "/ready", token=None).status == 503)
    assert soma.api("GET", "/health", token=None).status == 200
    soma.store.start()
    wait_for("ready again by itself", 30, soma.nodes[0].ready)
    assert soma.order("after-outage")["state"] == "ready"


def test_a_run_survives_a_short_outage_of_the_database(own_soma):
    soma = own_soma()
    orders = place(soma, ["outage-a", "outage-b"])
    time.sleep(0.8)
    soma.store.stop("immediate")
    time.sleep(3)
    soma.store.start()
    wait_for("ready again by itself", 30, soma.nodes[0].ready)
    check_ready(soma, settle(soma, orders))
