"""Who may what: roles per team, approval by another person, secrets, tokens."""
import concurrent.futures
import secrets

import pytest


@pytest.fixture(scope="module")
def people(soma):
    soma.must(201, "POST", "/api/v1/teams", {"name": "shipping", "title": "Shipping"})
    soma.person("vera", "viewer@payments")
    soma.person("dora", "developer@payments")
    soma.person("anna", "approver@payments")
    soma.person("both", "developer@payments", "approver@payments")
    soma.person("otto", "developer@shipping")
    soma.must(201, "POST", "/api/v1/environments", {"name": "guarded", "require_approval": True,
              "settings": {"postgres_host": "127.0.0.1", "postgres_port": str(soma.workloads.port)},
              "credentials": {"PGUSER": "soma_provisioner", "PGPASSWORD": soma.secrets["provisioner"]}})
    return soma


def attempt(soma, token, **change):
    body = {"kind": "create", "name": "rights-db", "template": "postgres-database", "environment": "local", "team": "payments", "parameters": {"size": "small"}, **change}
    return soma.api("POST", "/api/v1/orders", body, token=token, headers={"Idempotency-Key": secrets.token_hex(8)})


def test_a_viewer_reads_and_does_not_order(people):
    answer = attempt(people, "vera")
    assert answer.status == 403 and "developer" in answer.json["detail"] and "payments" in answer.json["detail"], answer
    assert people.api("GET", "/api/v1/services", token="vera").status == 200


def test_who_holds_no_role_reads_nothing_but_their_own(people):
    """Every operation that reads refuses somebody without a role, but for what is theirs."""
    people.person("nora")
    document = people.must(200, "GET", "/api/openapi.json", token=None).json
    own = {"/api/v1/session", "/api/v1/tokens", "/api/v1/tokens/{id}", "/api/v1/service-accounts", "/api/v1/service-accounts/{name}", "/api/v1/people/{name}",
           "/api/v1/roles/bindings", "/api/v1/roles/bindings/{id}"}
    let_in = []
    for path, item in document["paths"].items():
        if "get" not in item or item["get"].get("security") == [] or path in own:
            continue
        concrete = path.replace("{id}", "0198c1f2-7c1e-7b1a-9d7e-3f6f0b7f2a11").replace("{name}", "local").replace("{number}", "1")
        answer = people.api("GET", concrete, token="nora")
        if answer.status != 403 or "needs the role" not in answer.json["detail"] and "needs a token" not in answer.json["detail"]:
            let_in.append((path, answer))
    assert not let_in
    assert people.must(200, "GET", "/api/v1/session", token="nora").json["roles"] == []
    assert len(people.must(200, "GET", "/api/v1/tokens", token="nora").json["items"]) == 1
    for path in ("/api/v1/service-accounts", "/api/v1/roles/bindings"):
        assert people.must(200, "GET", path, token="nora").json["items"] == []
    refused = attempt(people, "nora", team="no-such-team")
    assert refused.status == 403 and "developer" in refused.json["detail"], refused
    own_token = people.must(201, "POST", "/api/v1/tokens", {"name": "own"}, token="nora", headers={"Idempotency-Key": secrets.token_hex(8)}).json
    people.must(204, "DELETE", f"/api/v1/tokens/{own_token['id']}", token="nora")


def test_settings_and_credentials_are_for_administrators(people):
    admin = people.must(200, "GET", "/api/v1/environments/local")
    assert admin.json["credentials"] == ["PGPASSWORD", "PGUSER"] and admin.json["settings"]["postgres_host"] == "127.0.0.1"
    vera = people.must(200, "GET", "/api/v1/environments/local", token="vera")
    assert "settings" not in vera.json and "credentials" not in vera.json and vera.json["teams"] == ["payments"]
    assert vera.headers["ETag"] != admin.headers["ETag"]
    assert people.api("GET", "/api/v1/environments/local", token="vera", headers={"If-None-Match": vera.headers["ETag"]}).status == 304
    assert people.api("GET", "/api/v1/environments/local", token="admin", headers={"If-None-Match": vera.headers["ETag"]}).status == 200
    assert all("settings" not in e and "credentials" not in e for e in people.must(200, "GET", "/api/v1/environments", token="vera").json["items"])
    for path in ("/api/v1/templates/repositories", "/api/v1/templates/repositories/builtin"):
        mine, theirs = (people.must(200, "GET", path, token=who).json for who in ("admin", "vera"))
        assert "credentials" in (mine["items"][0] if "items" in mine else mine) and "credentials" not in (theirs["items"][0] if "items" in theirs else theirs)


def test_an_environment_that_cannot_be_meant_is_refused_by_field(people):
    for change, pointer in (({"teams": ["nobody"]}, "/teams/0"), ({"teams": ["payments", "nobody"]}, "/teams/1"), ({"settings": {"region": "eu\nwest"}}, "/settings/region"),
                            ({"settings": {"region": "eu\x7f"}}, "/settings/region"), ({"settings": {"region": "eu-west-1\n"}}, "/settings/region"), ({"title": "a\u0085b"}, "/title")):
        for method, path, body in (("POST", "/api/v1/environments", {"name": "odd", **change}), ("PATCH", "/api/v1/environments/local", change)):
            answer = people.api(method, path, body)
            assert answer.status == 422 and [e["pointer"] for e in answer.json["errors"]] == [pointer], answer
    assert people.api("GET", "/api/v1/environments/odd").status == 404
    both = people.api("PATCH", "/api/v1/environments/local", {"teams": ["nobody", "payments", "nowhere"]})
    assert [e["pointer"] for e in both.json["errors"]] == ["/teams/0", "/teams/2"]
    people.must(422, "POST", "/api/v1/teams", {"name": "odd", "title": "two\nlines"})


def test_another_team_neither_orders_nor_sees(people):
    assert people.order("hidden-db", token="dora")["state"] == "ready"
    assert attempt(people, "otto").status == 403
    assert people.api("GET", "/api/v1/services/hidden-db", token="otto").status == 404
    assert people.api("POST", "/api/v1/services/hidden-db/outputs/reveal", token="otto").status == 404
    assert people.api("GET", "/api/v1/services/hidden-db/monitoring/rules", token="otto").status == 404
    assert "hidden-db" not in [s["name"] for s in people.must(200, "GET", "/api/v1/services?limit=500", token="otto").json["items"]]
    assert people.api("POST", "/api/v1/services/hidden-db/outputs/reveal", token="vera").status == 403
    outputs = people.must(200, "GET", "/api/v1/services/hidden-db/outputs", token="vera").json["outputs"]
    assert outputs["password"] == {"value": None, "sensitive": True, "title": outputs["password"]["title"]}
    answer = people.api("POST", "/api/v1/orders", {"kind": "destroy", "name": "hidden-db"}, token="vera", headers={"Idempotency-Key": secrets.token_hex(8)})
    assert answer.status == 403, answer


def test_an_environment_takes_orders_of_its_teams_alone(people):
    answer = attempt(people, "otto", team="shipping")
    assert answer.status == 403 and "local" in answer.json["detail"], answer


def test_nobody_approves_their_own_order(people):
    order = people.order("guarded-db", token="both", environment="guarded")
    assert order["state"] == "awaiting_approval", order
    own = people.api("POST", f"/api/v1/orders/{order['id']}/approval", {"decision": "approve"}, token="both")
    assert own.status == 403 and "own" in own.json["detail"], own
    for nobody in ("vera", "dora", "otto"):
        assert people.api("POST", f"/api/v1/orders/{order['id']}/approval", {"decision": "approve"}, token=nobody).status in (403, 404)
    people.must(200, "POST", f"/api/v1/orders/{order['id']}/approval", {"decision": "approve", "comment": "go"}, token="anna")
    done = people.wait_order(order["id"], ("ready", "failed"))
    assert done["state"] == "ready" and done["approval"]["person"] == "anna"
    twice = people.api("POST", f"/api/v1/orders/{order['id']}/approval", {"decision": "reject"}, token="anna")
    assert twice.status == 409, twice


def test_a_refused_order_changes_nothing_and_frees_its_name(people):
    order = people.order("refused-db", token="dora", environment="guarded")
    people.must(200, "POST", f"/api/v1/orders/{order['id']}/approval", {"decision": "reject", "comment": "too early"}, token="anna")
    done = people.get_order(order["id"])
    assert done["state"] == "failed" and "too early" in done["reason"]
    assert people.workloads.sql("select count(*) from pg_database where datname = 'refused-db'") == [["0"]]
    assert people.order("refused-db", token="dora")["state"] == "ready"


def test_a_quota_denies_in_words(people):
    people.must(201, "POST", "/api/v1/environments", {"name": "narrow", "services_per_team": 1, "settings": {"postgres_host": "127.0.0.1", "postgres_port": str(people.workloads.port)},
                "credentials": {"PGUSER": "soma_provisioner", "PGPASSWORD": people.secrets["provisioner"]}})
    assert people.order("narrow-a", environment="narrow")["state"] == "ready"
    denied = people.order("narrow-b", environment="narrow")
    assert denied["state"] == "failed" and "1 services" in denied["reason"], denied
    assert [g["outcome"] for g in denied["gates"] if g["gate"] == "quota-services"] == ["deny"]
    assert people.destroy("narrow-a")["state"] == "ready"
    assert people.order("narrow-b", environment="narrow")["state"] == "ready"


def test_of_twenty_orders_at_once_a_quota_lets_three_in(own_soma):
    """Whatever their ids say: a service of a node whose clock runs ahead has the larger one, and holds its place all the same."""
    soma = own_soma()
    other = soma.start("second")
    soma.must(200, "PATCH", "/api/v1/environments/local", {"services_per_team": 3})
    assert soma.order("quota-ahead")["state"] == "ready"
    soma.store.sql("set session_replication_role = replica; update soma.orders set service_id = 'ffffffff-ffff-7fff-bfff-ffffffffffff'; "
                   "update soma.service set id = 'ffffffff-ffff-7fff-bfff-ffffffffffff' where name = 'quota-ahead'", "soma")
    body = {"kind": "create", "template": "postgres-database", "environment": "local", "team": "payments", "parameters": {}}
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: soma.api("POST", "/api/v1/orders", {**body, "name": f"quota-{i}"}, headers={"Idempotency-Key": secrets.token_hex(8)},
                                                   url=(soma.url, other.url)[i % 2]), range(20)))
    assert [answer.status for answer in answers] == [202] * 20
    ended = [soma.wait_order(answer.json["id"]) for answer in answers]
    assert sorted(order["state"] for order in ended) == ["failed"] * 18 + ["ready"] * 2, [(order["name"], order["state"], order["reason"]) for order in ended]
    assert all("3 services" in order["reason"] for order in ended if order["state"] == "failed")
    assert soma.workloads.sql("select count(*) from pg_database where datname like 'quota-%'") == [["3"]]


def test_orders_on_their_way_count_for_the_quota_of_resources(own_soma):
    soma = own_soma(job_threads=8)
    soma.must(200, "PATCH", "/api/v1/environments/local", {"resources_per_team": 5})
    orders = [soma.order(f"resources-{i}", wait=False)["id"] for i in range(8)]
    ended = [soma.wait_order(order) for order in orders]
    assert sorted(order["state"] for order in ended) == ["failed"] * 6 + ["ready"] * 2, [(order["name"], order["state"], order["reason"]) for order in ended]
    assert all("5 resources" in order["reason"] for order in ended if order["state"] == "failed")


def test_a_revoked_token_ends(people):
    made = people.must(201, "POST", "/api/v1/tokens", {"name": "short-lived"}, token="dora", headers={"Idempotency-Key": secrets.token_hex(8)}).json
    assert people.api("GET", "/api/v1/services", token=made["token"]).status == 200
    people.must(204, "DELETE", f"/api/v1/tokens/{made['id']}", token="dora")
    from support.platform import wait_for
    wait_for("the revoked token is refused", 3, lambda: people.api("GET", "/api/v1/services", token=made["token"]).status == 401)


def test_the_audit_chain_verifies_and_the_node_cannot_alter_it(people):
    people.cli("audit", "verify")
    import subprocess
    for statement in ("delete from soma.audit_entry", "update soma.audit_entry set action = 'x'", "truncate soma.audit_entry"):
        done = subprocess.run(["psql", people.store.conninfo("soma", "soma_app", people.secrets["app"]), "-c", statement], check=False, capture_output=True, text=True)
        assert "permission denied" in done.stderr, done
