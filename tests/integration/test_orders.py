"""The road of an order on real parts: ordered, used, looked at, destroyed; and what is refused on the way."""
import concurrent.futures
import json
import os
import secrets
import subprocess
import sys

import pytest

from support.platform import wait_for

STATES = ["queued", "checking", "planning", "applying", "monitoring", "registering", "ready"]


def revealed(soma, name, token="admin"):
    outputs = soma.must(200, "POST", f"/api/v1/services/{name}/outputs/reveal", token=token).json["outputs"]
    return {key: output["value"] for key, output in outputs.items()}


def psql(url, statement):
    return subprocess.run(["psql", url, "-XAtqc", statement], check=False, capture_output=True, text=True, timeout=30)


def test_a_database_is_ordered_used_and_destroyed(soma):
    order = soma.order("road-db")
    assert order["state"] == "ready", order
    assert [step["state"] for step in order["steps"]] == STATES
    assert order["plan"]["add"] == len(order["plan"]["changes"]) > 0
    url = revealed(soma, "road-db")["url"]
    done = psql(url, "create table t(i int); insert into t values (42); select i from t")
    assert done.stdout.strip() == "42", done.stderr
    events = [event["type"] for event in soma.events(order["id"])]
    assert {"order.state", "terraform.planned_change", "terraform.apply_start", "terraform.apply_complete"} <= set(events)
    seen = [event["data"]["state"] for event in soma.events(order["id"]) if event["type"] == "order.state"]
    assert seen == STATES
    ended = soma.destroy("road-db")
    assert ended["state"] == "ready", ended
    assert soma.workloads.sql("select count(*) from pg_database where datname = 'road-db'") == [["0"]]
    assert soma.workloads.sql("select count(*) from pg_roles where rolname = 'road-db'") == [["0"]]
    assert psql(url, "select 1").returncode != 0
    assert soma.must(200, "GET", "/api/v1/services/road-db").json["state"] == "destroyed"
    actions = [entry["action"] for entry in soma.must(200, "GET", "/api/v1/audit?limit=100").json["items"] if entry["subject"] == "service:road-db"]
    assert {"order.create", "order.destroy", "secret.reveal"} <= set(actions)


def test_the_service_is_catalogued_with_owner_cost_centre_and_tags(soma):
    assert soma.order("catalogued-db", cost_centre="cc-99")["state"] == "ready"
    entity = json.loads(soma.store.sql("select entity from soma.catalog_entity where name = 'catalogued-db'", "soma")[0][0])
    assert entity["kind"] == "Resource" and entity["spec"]["owner"] == "group:default/payments" and entity["spec"]["costCentre"] == "cc-99"
    assert entity["metadata"]["labels"] == {"Owner": "admin", "CostCenter": "cc-99", "ManagedBy": "soma", "Environment": "local"}
    assert {"type": "ownedBy", "targetRef": "group:default/payments"} in entity["relations"]
    password = revealed(soma, "catalogued-db")["password"]
    assert password not in json.dumps(entity)
    assert soma.destroy("catalogued-db")["state"] == "ready"
    assert soma.store.sql("select 1 from soma.catalog_entity where name = 'catalogued-db'", "soma") == []


def test_ordered_databases_are_closed_to_each_other(soma):
    assert soma.order("closed-a")["state"] == "ready"
    assert soma.order("closed-b")["state"] == "ready"
    url = revealed(soma, "closed-a")["url"]
    assert psql(url, "select 1").returncode == 0
    for other in ("closed-b", "postgres", "template1"):
        assert psql(url.replace("/closed-a?", f"/{other}?") if "?" in url else url.rsplit("/", 1)[0] + "/" + other, "select 1").returncode != 0
    wrong = url.replace(revealed(soma, "closed-a")["password"], "wrong")
    assert "password" in psql(wrong, "select 1").stderr


def test_no_ordered_password_stands_in_clear_in_a_file(soma):
    assert soma.order("sealed-db")["state"] == "ready"
    password = revealed(soma, "sealed-db")["password"]
    found = subprocess.run(["grep", "-rlF", "--exclude-dir=base", "--exclude-dir=pg_wal", password, str(soma.folder)], check=False, capture_output=True, text=True)
    assert found.stdout == ""
    dump = subprocess.run(["pg_dump", soma.store.conninfo("soma")], check=True, capture_output=True, text=True).stdout
    assert password not in dump


@pytest.mark.parametrize("change, field", [
    ({"parameters": {"size": "enormous"}}, "/parameters/size"), ({"parameters": {"size": 3}}, "/parameters/size"),
    ({"parameters": {"size": "small", "colour": "red"}}, "/parameters/colour"), ({"template": "no-such"}, "/template"), ({"environment": "nowhere"}, "/environment"),
    ({"team": "nobody"}, "/team"), ({"name": "Upper"}, "/name"), ({"name": "-x"}, "/name"), ({"name": "a" * 41}, "/name"), ({"kind": "change"}, "/kind"),
    *(({"name": name}, "/name") for name in ("postgres", "public", "none", "template0", "template1")),
    ({"surprise": 1}, "/surprise"),
])
def test_wrong_input_names_the_field(soma, change, field):
    body = {"kind": "create", "name": "never-made", "template": "postgres-database", "environment": "local", "team": "payments", "parameters": {"size": "small"}, **change}
    answer = soma.api("POST", "/api/v1/orders", body, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert answer.status == 422, answer
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert field in [error["pointer"] for error in answer.json["errors"]], answer
    assert soma.api("GET", "/api/v1/services/never-made").status == 404


def test_a_reserved_name_is_refused_before_anything_is_made(soma):
    """By the golden path's own schema of names, at the order, in its words."""
    orders = len(soma.must(200, "GET", "/api/v1/orders?limit=500").json["items"])
    for plan_only in (False, True):
        body = {"kind": "create", "name": "postgres", "template": "postgres-database", "environment": "local", "team": "payments", "parameters": {}, "plan_only": plan_only}
        answer = soma.must(422, "POST", "/api/v1/orders", body, headers={"Idempotency-Key": secrets.token_hex(8)})
        assert "PostgreSQL keeps this name for itself" in answer.json["errors"][0]["detail"], answer
    assert len(soma.must(200, "GET", "/api/v1/orders?limit=500").json["items"]) == orders
    for name in ("postgres-x", "template", "nones"):
        assert soma.order(name, plan_only=True)["state"] == "ready"


def test_wrong_json_is_told_with_its_place(soma):
    answer = soma.api("POST", "/api/v1/orders", raw=b'{"kind": "create",\n "name": }', headers={"Idempotency-Key": "wrong-json"})
    assert answer.status == 400 and "line 2" in answer.json["detail"], answer


def test_a_large_body_is_refused(soma):
    answer = soma.api("POST", "/api/v1/orders", raw=b'{"name": "' + b"x" * (2 << 20) + b'"}', headers={"Idempotency-Key": "large"})
    assert answer.status == 413, answer


def test_an_order_needs_sign_in_and_a_key(soma):
    assert soma.api("POST", "/api/v1/orders", {}, token=None, headers={"Idempotency-Key": "x"}).status == 401
    assert soma.api("POST", "/api/v1/orders", {}, token="soma_nonsense", headers={"Idempotency-Key": "x"}).status == 401
    answer = soma.api("POST", "/api/v1/orders", {"kind": "create", "name": "x"})
    assert answer.status == 400 and "Idempotency-Key" in answer.json["detail"]


def test_a_taken_name_is_a_conflict_with_a_link(soma):
    soma.order("taken-db")
    answer = soma.api("POST", "/api/v1/orders", {"kind": "create", "name": "taken-db", "template": "postgres-database", "environment": "local", "team": "payments",
                                                 "parameters": {"size": "small"}}, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert answer.status == 409 and answer.json["link"] == "/api/v1/services/taken-db", answer


def test_one_key_twenty_times_at_once_is_one_order(soma):
    body = {"kind": "create", "name": "once-db", "template": "postgres-database", "environment": "local", "team": "payments", "parameters": {"size": "small"}}

    def send(_):
        return soma.api("POST", "/api/v1/orders", body, headers={"Idempotency-Key": "the-same-key"})
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(20)))
    assert {answer.status for answer in answers} <= {202, 409}, answers
    made = {answer.json["id"] for answer in answers if answer.status == 202}
    assert len(made) == 1
    again = soma.api("POST", "/api/v1/orders", body, headers={"Idempotency-Key": "the-same-key"})
    assert again.status == 202 and again.json["id"] in made
    other = soma.api("POST", "/api/v1/orders", {**body, "name": "other-db"}, headers={"Idempotency-Key": "the-same-key"})
    assert other.status == 422, other
    assert soma.store.sql("select count(*) from soma.orders where name = 'once-db'", "soma") == [["1"]]


def test_of_two_orders_of_one_name_at_once_one_wins(soma):
    body = {"kind": "create", "name": "raced-db", "template": "postgres-database", "environment": "local", "team": "payments", "parameters": {"size": "small"}}

    def send(number):
        return soma.api("POST", "/api/v1/orders", body, headers={"Idempotency-Key": f"race-{number}"})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert sorted(answer.status for answer in answers) == [202] + [409] * 7
    winner = next(answer for answer in answers if answer.status == 202)
    assert soma.wait_order(winner.json["id"])["state"] == "ready"


def test_a_plan_shows_and_applies_nothing(soma):
    order = soma.order("planned-db", plan_only=True)
    assert order["state"] == "ready" and order["plan"]["add"] > 0 and order["plan_only"]
    assert soma.api("GET", "/api/v1/services/planned-db").status == 404
    assert soma.workloads.sql("select count(*) from pg_database where datname = 'planned-db'") == [["0"]]
    assert "(sensitive)" in json.dumps(order["plan"]), "the generated password is masked"


def test_an_order_is_canceled_while_it_waits(own_soma):
    soma = own_soma(job_threads=1)
    soma.must(200, "PATCH", "/api/v1/environments/local", {"require_approval": True})
    order = soma.order("waiting-db")
    assert order["state"] == "awaiting_approval"
    done = soma.cli("cancel", order["id"])
    assert done.returncode == 0
    assert soma.get_order(order["id"])["state"] == "canceled"
    assert soma.must(200, "GET", "/api/v1/services/waiting-db").json["state"] == "destroyed"
    answer = soma.api("POST", f"/api/v1/orders/{order['id']}/cancel", {})
    assert answer.status == 409, answer
    soma.must(200, "PATCH", "/api/v1/environments/local", {"require_approval": False})
    assert soma.order("waiting-db")["state"] == "ready", "the name is free again"


@pytest.mark.parametrize("told", [{"team": "shipping"}, {"environment": "elsewhere"}, {"template": "sqs-queue"}, {"parameters": {"size": "small"}}])
def test_a_destroy_that_means_another_service_is_refused(soma, told):
    if soma.api("GET", "/api/v1/services/meant-db").status == 404:
        assert soma.order("meant-db")["state"] == "ready"
    answer = soma.api("POST", "/api/v1/orders", {"kind": "destroy", "name": "meant-db", **told}, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert answer.status == 422 and [error["pointer"] for error in answer.json["errors"]] == ["/" + next(iter(told))], answer
    assert soma.must(200, "GET", "/api/v1/services/meant-db").json["state"] == "ready"


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PATH", "TF_REATTACH_PROVIDERS", "PLUGIN_MIN_PORT", "lower"])
def test_a_credential_does_not_steer_the_host(soma, name):
    answer = soma.api("POST", "/api/v1/environments", {"name": "steered", "credentials": {name: "x"}})
    assert answer.status == 422 and "credentials" in str(answer.json["errors"]), answer
    assert soma.api("GET", "/api/v1/environments/steered").status == 404


# Signs in again and again, with one session that tries to keep the door open.
STUBBORN = """
import subprocess, sys, time
url, name, end = sys.argv[1], sys.argv[2], time.monotonic() + 60
while time.monotonic() < end:
    subprocess.run(["psql", url, "-Xqc", f'''do $$ begin loop
        execute 'alter database "{name}" with allow_connections true'; perform pg_sleep(0.01); end loop; end $$'''], stderr=subprocess.DEVNULL)
"""


@pytest.mark.parametrize("engine", ["SOMA_TOFU", "SOMA_TERRAFORM"])
def test_a_destroy_ends_open_sessions_and_keeps_clients_out(own_soma, engine):
    if not os.environ.get(engine):
        pytest.skip(f"{engine} is not set")
    soma = own_soma(engine=os.environ[engine])
    assert soma.order("busy-db")["state"] == "ready"
    url = revealed(soma, "busy-db")["url"]
    idle = [subprocess.Popen(["psql", url, "-Xqc", "select pg_sleep(600)"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    stubborn = [subprocess.Popen([sys.executable, "-c", STUBBORN, url, "busy-db"]) for _ in range(4)]
    try:
        wait_for("seven sessions", 20, lambda: soma.workloads.sql("select count(*) >= 7 from pg_stat_activity where datname = 'busy-db'") == [["t"]])
        planned = soma.cli("destroy", "busy-db", "--plan", "-o", "json")
        assert "busy-db" in planned.stdout and all(client.poll() is None for client in idle), "a plan disturbs nobody"
        ended = soma.destroy("busy-db")
        assert ended["state"] == "ready", ended["reason"]
        assert all("terminating connection" in client.communicate(timeout=10)[1] for client in idle)
    finally:
        for client in (*idle, *stubborn):
            client.kill()
            client.wait()
    told = [event["data"] for event in soma.events(ended["id"]) if event["type"] == "order.sessions_ended"]
    assert [event["database"] for event in told] == ["busy-db"] and told[0]["sessions"] >= 3
    assert soma.workloads.sql("select (select count(*) from pg_database where datname = 'busy-db'), (select count(*) from pg_roles where rolname = 'busy-db')") == [["0", "0"]]
    assert soma.workloads.sql("select count(*) from pg_auth_members m join pg_roles r on r.oid = m.member where rolname = 'soma_provisioner' and roleid::regrole::text not like 'pg_%'") == [["0"]]


def test_a_superusers_session_is_named_and_the_destroy_can_be_ordered_again(own_soma):
    soma = own_soma()
    assert soma.order("watched-db")["state"] == "ready" and soma.order("other-db")["state"] == "ready"
    other = subprocess.Popen(["psql", revealed(soma, "other-db")["url"], "-Xqc", "select pg_sleep(600)"], stderr=subprocess.DEVNULL)
    admin = subprocess.Popen(["psql", soma.workloads.conninfo("watched-db"), "-Xqc", "select pg_sleep(600)"], stderr=subprocess.DEVNULL)
    try:
        wait_for("both sessions", 20, lambda: soma.workloads.sql("select count(*) from pg_stat_activity where datname in ('watched-db', 'other-db')") == [["2"]])
        ended = soma.destroy("watched-db")
        assert ended["state"] == "failed" and "soma_admin" in ended["reason"] and "superuser" in ended["reason"], ended
        assert admin.poll() is None and other.poll() is None
        soma.workloads.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'watched-db'")
    finally:
        admin.kill()
        admin.wait()
    assert soma.destroy("watched-db")["state"] == "ready"
    assert other.poll() is None, "sessions in other databases stay"
    other.kill()
    other.wait()
