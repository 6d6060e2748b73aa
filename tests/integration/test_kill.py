"""kill -9 of the roles while orders are in all states: each order ends as it should, nothing is there twice, nothing is left running."""
import os
import secrets
import signal
import subprocess
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


class NoNewDatabase:
    """While this is held, CREATE DATABASE waits on the workloads server: an apply stands in its middle, the role made, the database not."""

    def __init__(self, soma):
        self.soma = soma

    def __enter__(self):
        self.session = subprocess.Popen(["psql", self.soma.workloads.conninfo(), "-XAtq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.session.stdin.write("begin; lock table pg_database in exclusive mode; select 'held';\n")
        self.session.stdin.flush()
        assert self.session.stdout.readline().strip() == "held"
        return self

    def __exit__(self, *_):
        self.session.stdin.close()
        self.session.wait()

    def waiting(self):
        return self.soma.workloads.sql("select pid from pg_stat_activity where query ilike 'create database%' and wait_event_type = 'Lock'")

    def forget(self):
        """The server learns late that a client has died."""
        self.soma.workloads.sql("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'create database%'")
        wait_for("the server gave it up", 20, lambda: not self.waiting())


def leashes_of(soma):
    return [pid for pid in soma.processes() if open(f"/proc/{pid}/comm", encoding="utf-8").read().strip() == "soma-leash"]


def below(pid, name):
    """Ids of a process's descendants whose name it is."""
    children = [int(p) for p in open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8").read().split()]
    return [p for p in children if open(f"/proc/{p}/comm", encoding="utf-8").read().strip() == name] + [p for c in children for p in below(c, name)]


@pytest.mark.parametrize("victim", ["soma-leash", "engine"])
def test_an_apply_whose_leash_or_engine_is_killed_goes_on(own_soma, victim):
    soma = own_soma(lease_seconds=10)
    with NoNewDatabase(soma) as stop:
        orders = place(soma, ["part"])
        wait_for("the apply stands in its middle", 60, stop.waiting)
        leashes = leashes_of(soma)
        for pid in leashes if victim == "soma-leash" else below(leashes[0], "engine"):
            os.kill(pid, signal.SIGKILL)
        stop.forget()
    ended = settle(soma, orders)
    check_ready(soma, ended)
    applies = [run["outcome"] for run in ended["part"]["runs"] if run["phase"] == "apply"]
    assert applies == ["stopped", "ok"]


def test_what_a_first_killed_apply_made_is_known_after_a_second(own_soma):
    soma = own_soma(lease_seconds=10)
    with NoNewDatabase(soma) as stop:
        orders = place(soma, ["twice"])
        for _ in range(3):
            wait_for("the apply stands in its middle", 60, stop.waiting)
            soma.nodes[0].kill("work")
            stop.forget()
    check_ready(soma, settle(soma, orders))


def test_a_name_is_not_given_away_after_an_apply_that_was_cut_off(own_soma):
    soma = own_soma(lease_seconds=10)
    with NoNewDatabase(soma) as stop:
        orders = place(soma, ["mine"])
        wait_for("the apply stands in its middle", 60, stop.waiting)
        soma.must(200, "PATCH", "/api/v1/environments/local", {"credentials": {"PGPASSWORD": "another one"}})
        soma.nodes[0].kill("work")
        stop.forget()
    assert settle(soma, orders)["mine"]["state"] == "failed"
    answer = soma.api("POST", "/api/v1/orders", {"kind": "create", "name": "mine", "template": "postgres-database", "environment": "local", "team": "payments",
                                                 "parameters": {"size": "small"}}, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert answer.status == 409 and answer.json["link"] == "/api/v1/services/mine"


def test_approved_orders_keep_to_their_environments_limit(own_soma):
    soma = own_soma()
    soma.must(200, "PATCH", "/api/v1/environments/local", {"require_approval": True, "max_running": 1})
    soma.person("boss", "approver")
    orders = place(soma, ["limit-a", "limit-b", "limit-c"])
    for order in orders.values():
        soma.wait_order(order, ("awaiting_approval",))
    wait_for("no job is left", 20, lambda: soma.store.sql("select count(*) from soma.job", "soma") == [["0"]])
    with NoNewDatabase(soma) as stop:
        for order in orders.values():
            soma.must(200, "POST", f"/api/v1/orders/{order}/approval", {"decision": "approve"}, token="boss")
        wait_for("an apply stands in its middle", 60, stop.waiting)
        time.sleep(3)
        assert soma.store.sql("select count(*) from soma.run where phase = 'apply' and ended_at is null", "soma") == [["1"]]
    for order in settle_states(soma, orders, ("ready", "failed")).values():
        assert order["state"] == "ready", order["reason"]


def settle_states(soma, orders, states):
    return {name: soma.wait_order(order, states, 240) for name, order in orders.items()}


def test_a_name_that_is_free_again_is_catalogued_anew(own_soma):
    """The destroy of the first was given up behind its apply: the entity of the old service stood in the new one's way, and the order waited for ever."""
    soma = own_soma()
    assert soma.order("again")["state"] == "ready"
    soma.workloads.sql('drop database "again"')
    soma.workloads.sql('drop role "again"')
    soma.store.sql("update soma.service set state = 'failed', resources = 0 where name = 'again'", "soma")
    assert soma.order("again")["state"] == "ready"
    assert soma.store.sql("select count(*) from soma.catalog_entity where name = 'again'", "soma") == [["1"]]
