"""kill -9 of the roles while orders are in all states: each order ends as it should, nothing is there twice, nothing is left running."""
import os
import secrets
import signal
import subprocess
import time

import pytest

from support.platform import wait_for
from test_terraform import POSTGRES_TF, golden_path


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

    def __init__(self, soma, table="pg_database", statement="create database%"):
        self.soma, self.table, self.statement = soma, table, statement

    def __enter__(self):
        self.session = subprocess.Popen(["psql", self.soma.workloads.conninfo(), "-XAtq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.session.stdin.write(f"begin; lock table {self.table} in exclusive mode; select 'held';\n")
        self.session.stdin.flush()
        assert self.session.stdout.readline().strip() == "held"
        return self

    def __exit__(self, *_):
        self.session.stdin.close()
        self.session.wait()

    def waiting(self):
        return self.soma.workloads.sql(f"select pid from pg_stat_activity where query ilike '{self.statement}' and wait_event_type = 'Lock'")

    def forget(self):
        """The server learns late that a client has died."""
        self.soma.workloads.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where query ilike '{self.statement}'")
        wait_for("the server gave it up", 20, lambda: not self.waiting())


def name_of(pid):
    try:
        return open(f"/proc/{pid}/comm", encoding="utf-8").read().strip()
    except OSError:
        return None


def leashes_of(soma):
    return [pid for pid in soma.processes() if name_of(pid) == "soma-leash"]


def below(pid, name):
    """Ids of a process's descendants whose name it is."""
    children = [int(p) for p in open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8").read().split()]
    return [p for p in children if name_of(p) == name] + [p for c in children for p in below(c, name)]


@pytest.mark.parametrize("victim", ["soma-leash", "engine", "provider"])
def test_an_apply_whose_leash_engine_or_provider_is_killed_goes_on(own_soma, victim):
    soma = own_soma(lease_seconds=10)
    with NoNewDatabase(soma) as stop:
        orders = place(soma, ["part"])
        wait_for("the apply stands in its middle", 60, stop.waiting)
        leashes = leashes_of(soma)
        for pid in leashes if victim == "soma-leash" else below(leashes[0], victim):
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


def set_password(soma, password):
    soma.must(200, "PATCH", "/api/v1/environments/local", {"credentials": {"PGPASSWORD": password}})


def service(soma, name):
    return soma.must(200, "GET", f"/api/v1/services/{name}").json


def made(soma, name):
    """How many databases and roles of that name the server has."""
    return [int(soma.workloads.sql(f"select count(*) from {table} where {column} = '{name}'")[0][0]) for table, column in (("pg_database", "datname"), ("pg_roles", "rolname"))]


def fail_in_the_middle(soma, name, refused=None, **order):
    """Kills the worker while the database is being made, and takes the right password away, so that nobody can go on. The server makes the database nevertheless."""
    with NoNewDatabase(soma) as stop:
        placed = soma.order(name, wait=False, **order)["id"]
        wait_for("the apply stands in its middle", 60, stop.waiting)
        if refused:  # what the server said of it is in the journal
            wait_for(f"{refused} was refused", 60, lambda: any(e["type"] == "terraform.apply_errored" and refused in str(e["data"]) for e in soma.events(placed)))
        set_password(soma, "another one")
        soma.nodes[0].kill("work")
    failed = soma.wait_order(placed, seconds=240)
    assert failed["state"] == "failed", failed
    return failed


def test_a_destroy_finds_what_a_failed_recovery_left(own_soma):
    soma = own_soma(lease_seconds=10)
    failed = fail_in_the_middle(soma, "lost")
    assert made(soma, "lost") == [1, 1]
    assert "authentication failed" in failed["reason"] and "postgresql_database.this" in failed["reason"], failed["reason"]
    assert "postgresql_database.this" in [left["address"] for left in service(soma, "lost")["possibly_left"]]
    assert soma.destroy("lost")["state"] == "failed", "what cannot be looked for is not destroyed"
    assert service(soma, "lost")["state"] == "failed" and made(soma, "lost") == [1, 1]
    set_password(soma, soma.secrets["provisioner"])
    destroyed = soma.destroy("lost")
    assert destroyed["state"] == "ready" and destroyed["reason"] == "", destroyed
    assert made(soma, "lost") == [0, 0]
    assert service(soma, "lost")["possibly_left"] == []
    looked = [event["data"] for event in soma.events(destroyed["id"]) if event["type"] == "order.recovery"]
    assert {r["address"]: r["result"] for r in looked[0]["resources"]}["postgresql_database.this"] == "found"
    assert soma.store.sql("select count(*) from soma.saved_plan", "soma") == [["0"]]
    assert soma.order("lost")["state"] == "ready"


SCHEMA_TF = POSTGRES_TF + """
resource "postgresql_role" "first" {
  name = var.soma.name
}
resource "postgresql_schema" "second" {
  name       = replace(var.soma.name, "-", "_")
  depends_on = [postgresql_role.first]
}
"""


def test_a_destroy_names_what_it_cannot_look_for(own_soma, tmp_path):
    """The provider chooses the schema's database: there is no id to look by."""
    soma = own_soma(lease_seconds=10)
    golden_path(tmp_path / "paths", "schema", SCHEMA_TF)
    soma.add_templates("tests", tmp_path / "paths")
    soma.workloads.sql("grant create on database postgres to soma_provisioner")
    with NoNewDatabase(soma, "pg_namespace", "create schema%") as stop:
        placed = soma.order("namely", template="schema", parameters={}, wait=False)["id"]
        wait_for("the apply stands in its middle", 60, stop.waiting)
        set_password(soma, "another one")
        soma.nodes[0].kill("work")
    assert soma.wait_order(placed, seconds=240)["state"] == "failed"
    set_password(soma, soma.secrets["provisioner"])
    destroyed = soma.destroy("namely")
    assert destroyed["state"] == "ready" and "postgresql_schema.second" in destroyed["reason"], destroyed
    assert made(soma, "namely") == [0, 0]
    left = service(soma, "namely")
    assert left["state"] == "destroyed" and [item["address"] for item in left["possibly_left"]] == ["postgresql_schema.second"] and left["possibly_left"][0]["why"]
    warnings = [event["data"] for event in soma.events(destroyed["id"]) if event["type"] == "order.warning"]
    assert any("postgresql_schema.second" in warning["message"] for warning in warnings), warnings


FOREIGN_TF = POSTGRES_TF + """
resource "postgresql_role" "somebody" {
  name = "somebody-elses"
}
resource "postgresql_database" "this" {
  name = var.soma.name
}
"""


def test_what_is_somebody_elses_is_never_taken_over(own_soma, tmp_path):
    soma = own_soma(lease_seconds=10)
    golden_path(tmp_path / "paths", "foreign", FOREIGN_TF)
    soma.add_templates("tests", tmp_path / "paths")
    soma.workloads.sql('create role "somebody-elses"')
    failed = fail_in_the_middle(soma, "taker", refused="postgresql_role.somebody", template="foreign", parameters={})
    assert "postgresql_role.somebody" not in failed["reason"], failed["reason"]
    set_password(soma, soma.secrets["provisioner"])
    assert soma.destroy("taker")["state"] == "ready"
    assert made(soma, "taker") == [0, 0]
    assert made(soma, "somebody-elses") == [0, 1]


def retries(soma, order):
    return [event["data"]["message"] for event in soma.events(order) if event["type"] == "order.warning" and "it is tried again" in event["data"]["message"]]


def test_a_provider_that_always_dies_ends_the_order(own_soma):
    soma = own_soma(lease_seconds=10)
    with NoNewDatabase(soma) as stop:
        placed = soma.order("mortal", wait=False)["id"]
        for _ in range(3):
            wait_for("the apply stands in its middle", 60, stop.waiting)
            for pid in below(leashes_of(soma)[0], "provider"):
                os.kill(pid, signal.SIGKILL)
            stop.forget()
        order = soma.wait_order(placed)
    assert order["state"] == "failed" and "Plugin did not respond" in order["reason"], order["reason"]
    assert [run["outcome"] for run in order["runs"] if run["phase"] == "apply"] == ["stopped"] * 3
    again = retries(soma, placed)
    assert len(again) == 2 and "provider" in again[0] and "(try 1 of 3)" in again[0], again
    assert soma.destroy("mortal")["state"] == "ready"
    assert made(soma, "mortal") == [0, 0]


def test_a_plan_waits_for_an_environment_that_is_away_for_a_moment(own_soma):
    soma = own_soma()
    assert soma.order("patient")["state"] == "ready"
    soma.workloads.stop()
    placed = soma.destroy("patient", wait=False)["id"]
    message = wait_for("it is tried again", 60, lambda: retries(soma, placed))[0]
    assert "refused" in message and "(try 1 of 6)" in message, message
    soma.workloads.start()
    assert soma.wait_order(placed, seconds=180)["state"] == "ready"
    assert made(soma, "patient") == [0, 0]


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
