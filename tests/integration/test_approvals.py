"""Approval: who may, how many, until when; by API, by a link in a mail, by Slack. On a real node."""
import datetime
import secrets
import threading
import time

import pytest

from support.platform import git, wait_for

SOON = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def desk(soma):
    """A team's people; `guarded` asks for one approver, `twofold` for two, `brief` waits for a few seconds only."""
    soma.must(201, "POST", "/api/v1/teams", {"name": "desk", "title": "Desk", "cost_centre": "cc-9"})
    soma.must(201, "POST", "/api/v1/teams", {"name": "risk", "title": "Risk"})
    for name, *roles in (("olga", "developer@desk", "approver@desk"), ("anton", "approver@desk"), ("berta", "approver@desk"), ("carl", "viewer@desk"),
                         ("rita", "approver@risk"), ("zoe", "viewer@risk")):
        soma.person(name, *roles)
    target = {"settings": {"postgres_host": "127.0.0.1", "postgres_port": str(soma.workloads.port)},
              "credentials": {"PGUSER": "soma_provisioner", "PGPASSWORD": soma.secrets["provisioner"]}, "require_approval": True}
    for name, more in (("guarded", {}), ("twofold", {"approval_count": 2}), ("brief", {"approval_seconds": 12}), ("risky", {"approval_team": "risk"})):
        soma.must(201, "POST", "/api/v1/environments", {"name": f"desk-{name}", **target, **more})
    return soma


def ask(desk, name, environment="desk-guarded", token="olga", **more):
    order = desk.order(name, token=token, environment=environment, team="desk", **more)
    assert order["state"] == "awaiting_approval", order
    return order


def decide(desk, order, token, decision="approve", **more):
    return desk.api("POST", f"/api/v1/orders/{order['id']}/approval", {"decision": decision, **more}, token=token)


def ended(desk, order):
    return desk.wait_order(order["id"], ("ready", "failed", "canceled"))


def audit(desk, action, order):
    return [e for e in desk.must(200, "GET", f"/api/v1/audit?action={action}&limit=500").json["items"] if order["id"] in str(e.get("detail"))]


def waiting(desk, token):
    return {i["order"]["name"] for i in desk.must(200, "GET", "/api/v1/approvals?limit=500", token=token).json["items"]}


def test_another_person_approves_and_exactly_that_plan_is_applied(desk):
    order = ask(desk, "appr-one")
    assert [(d["role"], d["team"], d["count"], d["seconds"], d["gate"]) for d in order["demands"]] == [("approver", "desk", 1, 259200, "protected-environment")]
    assert order["approval"]["state"] == "waiting" and order["approval"]["plan"]["add"] > 0
    assert "appr-one" in waiting(desk, "anton") and "appr-one" not in waiting(desk, "olga") | waiting(desk, "carl") | waiting(desk, "zoe")
    done = decide(desk, order, "anton", comment="go")
    assert done.status == 200 and done.json["missing"] == 0 and done.json["state"] == "applying", done
    order = ended(desk, order)
    assert order["state"] == "ready" and [s["state"] for s in order["steps"]].count("planning") == 1
    assert order["approval"]["person"] == "anton" and order["approval"]["comment"] == "go" and order["approvals"][0]["decisions"][0]["via"] == "api"
    assert len(audit(desk, "order.approve", order)) == 1
    types = [e["type"] for e in desk.events(order["id"])]
    assert types.index("approval.asked") < types.index("approval.decision")
    assert desk.must(200, "GET", f"/api/v1/approvals/{order['approval']['id']}", token="anton").json["mine"] is False


def test_the_orderer_never_approves_whichever_way(desk):
    order = ask(desk, "appr-own")
    for token in ("olga", "admin"):
        desk.api("POST", "/api/v1/approvals/delegations", {"to": "olga", "until": SOON}, token=token)
    desk.must(201, "POST", "/api/v1/service-accounts", {"name": "olga-robot", "team": "desk", "owner": "olga"}, token="admin")
    desk.must(201, "POST", "/api/v1/roles/bindings", {"account": "olga-robot", "role": "approver", "team": "desk"})
    made = desk.must(201, "POST", "/api/v1/tokens", {"name": "robot", "service_account": "olga-robot"}, token="admin", headers={"Idempotency-Key": secrets.token_hex(8)}).json
    for token in ("olga", made["token"]):
        answer = decide(desk, order, token)
        assert answer.status == 403 and "own" in answer.json["detail"] and answer.json["type"].endswith("own-order"), answer
    assert "own" in desk.cli("approve", "appr-own", token="olga", check=False).stderr
    assert desk.get_order(order["id"])["state"] == "awaiting_approval"
    # ... and what a robot of hers ordered is her order
    desk.must(201, "POST", "/api/v1/roles/bindings", {"account": "olga-robot", "role": "developer", "team": "desk"})
    by_robot = ask(desk, "appr-robot", token=made["token"])
    assert by_robot["person"] == "olga" and decide(desk, by_robot, "olga").status == 403
    for o in (order, by_robot):
        assert decide(desk, o, "berta", "reject", comment="enough").status == 200
        assert ended(desk, o)["state"] == "failed"
    for d in desk.must(200, "GET", "/api/v1/approvals/delegations").json["items"]:
        desk.must(200, "POST", f"/api/v1/approvals/delegations/{d['id']}/revoke")


def test_two_people_are_needed_and_each_counts_once(desk):
    order = ask(desk, "appr-two", "desk-twofold")
    first = decide(desk, order, "anton", comment="one")
    assert first.status == 200 and first.json["missing"] == 1 and first.json["state"] == "awaiting_approval", first
    again = decide(desk, order, "anton")
    assert again.status == 409 and "once" in again.json["detail"], again
    assert "appr-two" not in waiting(desk, "anton") and "appr-two" in waiting(desk, "berta")
    assert decide(desk, order, "olga").status == 403
    assert desk.get_order(order["id"])["approval"]["demands"][0]["given"] == 1
    assert "is " in desk.cli("approve", "appr-two", "--comment", "two", token="berta").stderr
    assert ended(desk, order)["state"] == "ready"


def test_one_refusal_ends_it(desk):
    order = ask(desk, "appr-no", "desk-twofold")
    assert decide(desk, order, "anton").status == 200
    desk.cli("reject", order["id"], "--comment", "too dear", token="berta")
    order = ended(desk, order)
    assert order["state"] == "failed" and "too dear" in order["reason"] and order["approval"]["state"] == "rejected"
    assert desk.api("GET", "/api/v1/services/appr-no").json["state"] == "destroyed"


def test_others_have_no_say(desk):
    order = ask(desk, "appr-who")
    for token, status in (("carl", 403), ("zoe", 404), ("rita", 404), (None, 401)):
        assert decide(desk, order, token).status == status, token
    stale = decide(desk, order, "anton", approval="00000000-0000-4000-8000-000000000000")
    assert stale.status == 409 and stale.json["type"].endswith("plan-changed"), stale
    assert decide(desk, order, "anton", "maybe").status == 422
    desk.must(200, "POST", f"/api/v1/orders/{order['id']}/cancel", token="olga")
    assert desk.get_order(order["id"])["approval"]["state"] == "canceled"
    assert decide(desk, order, "anton").status == 409


def test_another_teams_approvers_see_and_decide_what_they_are_asked(desk):
    order = ask(desk, "appr-risk", "desk-risky")
    assert decide(desk, order, "anton").status == 403
    assert desk.must(200, "GET", f"/api/v1/orders/{order['id']}", token="rita").json["plan"]["changes"]
    assert desk.api("GET", f"/api/v1/orders/{order['id']}", token="zoe").status == 404
    assert "appr-risk" in desk.cli("approvals", "list", token="rita").stdout
    desk.cli("approve", "appr-risk", token="rita", check=False)  # the list of orders is the team's; by its id it is hers to decide
    assert desk.cli("approve", order["id"], token="rita").returncode == 0
    assert ended(desk, order)["state"] == "ready"


def test_an_approval_expires(desk):
    order = ask(desk, "appr-late", "desk-brief")
    time.sleep(12.2)
    late = decide(desk, order, "anton")
    assert late.status == 409 and ("time to approve" in late.json["detail"] or "canceled" in late.json["detail"]), late
    order = ended(desk, order)
    assert order["state"] == "canceled" and "expired" in order["reason"] and order["problem"]["type"] == "approval-expired" and order["approval"]["state"] == "expired"
    assert desk.api("GET", "/api/v1/services/appr-late").json["state"] == "destroyed"
    assert len(audit(desk, "order.expire", order)) == 1
    assert "approval.reminder" in [e["type"] for e in desk.events(order["id"])]
    assert desk.order("appr-late", team="desk", environment="desk-brief", token="olga")["state"] == "awaiting_approval"


def test_a_destroy_waits_and_comes_back_when_it_expires(desk):
    order = ask(desk, "appr-keep", "desk-brief")
    assert decide(desk, order, "anton").status == 200 and ended(desk, order)["state"] == "ready"
    gone = desk.destroy("appr-keep", token="olga")
    assert gone["state"] == "awaiting_approval"
    assert ended(desk, gone)["state"] == "canceled"
    assert desk.api("GET", "/api/v1/services/appr-keep").json["state"] == "ready"
    again = desk.destroy("appr-keep", token="olga")
    assert decide(desk, again, "anton").status == 200 and ended(desk, again)["state"] == "ready"


def test_a_right_is_handed_over_until_a_date(desk):
    bad = desk.api("POST", "/api/v1/approvals/delegations", {"to": "zoe", "until": "2020-01-01T00:00:00Z"}, token="anton")
    assert bad.status == 422 and bad.json["errors"][0]["pointer"] == "/until", bad
    assert desk.api("POST", "/api/v1/approvals/delegations", {"to": "anton", "until": SOON}, token="anton").status == 422
    desk.cli("approvals", "delegate", "zoe", "--until", SOON[:10], "--comment", "holiday", token="anton")
    mine = desk.must(200, "GET", "/api/v1/approvals/delegations", token="zoe").json["items"]
    assert [(d["from"], d["to"], d["state"], d["until"][:10]) for d in mine] == [("anton", "zoe", "active", SOON[:10])]
    # not transitive: what zoe was given is not hers to give
    desk.must(201, "POST", "/api/v1/approvals/delegations", {"to": "carl", "until": SOON}, token="zoe")
    order = ask(desk, "appr-hand", "desk-twofold")
    assert decide(desk, order, "carl").status == 403
    given = decide(desk, order, "zoe")
    assert given.status == 200 and given.json["missing"] == 1, given
    used = decide(desk, order, "anton")
    assert used.status == 409 and "zoe" in used.json["detail"], used
    seen = desk.get_order(order["id"])["approval"]["decisions"]
    assert [(d["person"], d["for"]) for d in seen] == [("zoe", ["anton"])]
    desk.must(200, "POST", f"/api/v1/approvals/delegations/{mine[0]['id']}/revoke", token="anton")
    assert decide(desk, order, "berta").json["missing"] == 0 and ended(desk, order)["state"] == "ready"
    other = ask(desk, "appr-hand-2")
    assert decide(desk, other, "zoe").status == 404
    # the orderer's own right helps nobody
    desk.must(201, "POST", "/api/v1/approvals/delegations", {"to": "zoe", "until": SOON}, token="olga")
    assert decide(desk, other, "zoe").status == 403
    assert decide(desk, other, "anton").status == 200 and ended(desk, other)["state"] == "ready"
    assert len([e for e in desk.must(200, "GET", "/api/v1/audit?action=approval.delegate&limit=500").json["items"] if e["actor"] == "anton" or e.get("actor_name") == "anton"]) == 1


def test_state_that_moved_is_planned_anew(desk):
    """Equal: it goes on. Different: it is shown and asked about anew."""
    order = ask(desk, "appr-move")
    assert decide(desk, order, "anton").status == 200 and ended(desk, order)["state"] == "ready"
    same = desk.destroy("appr-move", token="olga")
    elsewhere = order["id"]
    desk.store.sql(f"update soma.saved_plan set template_version = '{elsewhere}' where order_id = '{same['id']}'", "soma")  # the plan does not fit its order any more
    assert decide(desk, same, "anton").status == 200
    same = ended(desk, same)
    assert same["state"] == "ready" and [s["state"] for s in same["steps"]].count("planning") == 2 and [a["state"] for a in same["approvals"]] == ["approved"]
    assert any("the approval stands" in s["reason"] for s in same["steps"])

    order = ask(desk, "appr-shift")
    first = order["approval"]["id"]
    # between plan and apply the parameters came to be others: the plan made anew differs
    desk.store.sql(f"update soma.orders set parameters = parameters || '{{\"size\": \"medium\"}}' where id = '{order['id']}'", "soma")
    desk.store.sql(f"update soma.saved_plan set template_version = '{elsewhere}' where order_id = '{order['id']}'", "soma")
    assert decide(desk, order, "anton").status == 200
    anew = wait_for("asked anew", 60, lambda: (lambda o: o if o["state"] == "awaiting_approval" and o["approval"]["round"] == 2 else None)(desk.get_order(order["id"])))
    assert [a["state"] for a in anew["approvals"]] == ["replaced", "waiting"] and anew["approval"]["id"] != first
    assert decide(desk, order, "anton", approval=first).status == 409
    assert decide(desk, order, "anton", approval=anew["approval"]["id"]).status == 200
    assert ended(desk, order)["state"] == "ready"


def test_a_golden_path_that_moved_is_planned_anew(desk):
    order = ask(desk, "appr-path")
    version = order["template_version"]
    folder = desk.folder / "builtin.git-work"
    manifest = folder / "postgres-database/template.yaml"
    text = manifest.read_text()
    manifest.write_text(text.replace("title:", "title: Newer", 1))
    git(folder, "commit", "-q", "-am", "another title")
    desk.cli("templates", "refresh", "builtin", "--wait", check=False)
    wait_for("the newer version", 30, lambda: "Newer" in desk.must(200, "GET", "/api/v1/templates/postgres-database").body.decode())
    assert decide(desk, order, "anton").status == 200
    order = ended(desk, order)
    assert order["state"] == "ready" and order["template_version"] != version, order["steps"]
    assert any("newer version" in s["reason"] for s in order["steps"])
    manifest.write_text(text)
    git(folder, "commit", "-q", "-am", "the title as it was")
    desk.cli("templates", "refresh", "builtin", "--wait", check=False)


def test_two_decide_at_once_and_one_settles(desk):
    order = ask(desk, "appr-race")
    answers = []
    people = [threading.Thread(target=lambda t=t: answers.append(decide(desk, order, t).status)) for t in ("anton", "berta")]
    for p in people:
        p.start()
    for p in people:
        p.join()
    assert sorted(answers) == [200, 409]
    assert ended(desk, order)["state"] == "ready"
