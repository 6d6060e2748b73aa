"""Approval from outside: by a link in a mail (a real SMTP server) and by Slack (a local receiver)."""
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import re
import secrets
import threading
import time
import urllib.parse

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from support.platform import Platform, free_port, wait_for

SIGNING = "signing-" + secrets.token_hex(8)
PASSWORD = "smtp-" + secrets.token_hex(8)
WEBHOOK = "/services/T000/B000/" + secrets.token_hex(12)


class Mailbox:
    """Keeps what is delivered; refuses the first `away` mails for now, and a recipient that does not exist for good."""

    def __init__(self):
        self.mails, self.away = [], 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.away > 0:
            self.away -= 1
            return "451 try again later"
        self.mails.append((envelope.rcpt_tos[0], email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 OK"

    def to(self, address, subject):
        return [m for rcpt, m in self.mails if rcpt == address and subject in m["Subject"]]


class Slack(http.server.BaseHTTPRequestHandler):
    posts = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Slack.posts.append((self.path, json.loads(body)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def outside():
    mailbox = Mailbox()
    smtp = Controller(mailbox, hostname="127.0.0.1", port=free_port(), auth_required=True, auth_require_tls=False,
                      authenticator=lambda server, session, envelope, mechanism, data: AuthResult(success=data.login == b"soma" and data.password == PASSWORD.encode()))
    smtp.start()
    slack = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Slack)
    threading.Thread(target=slack.serve_forever, daemon=True).start()
    Slack.posts.clear()
    base = f"http://127.0.0.1:{slack.server_address[1]}"
    soma = Platform()
    soma.mailbox, soma.slack_url = mailbox, base
    try:
        soma.start(smtp_server=f"127.0.0.1:{smtp.port}", smtp_tls="none", smtp_user="soma", smtp_password=PASSWORD, smtp_from="Soma <soma@example.com>",
                   slack_webhook=base + WEBHOOK, slack_signing_secret=SIGNING, log_level="debug")
        soma.bootstrap()
        soma.fill()
        for name, *roles in (("olga", "developer@payments", "approver@payments"), ("anton", "approver@payments"), ("berta", "approver@payments")):
            soma.person(name, *roles)
            soma.cli("people", "update", name, "--email", f"{name}@example.com", token=name)
        target = {"settings": {"postgres_host": "127.0.0.1", "postgres_port": str(soma.workloads.port)},
                  "credentials": {"PGUSER": "soma_provisioner", "PGPASSWORD": soma.secrets["provisioner"]}, "require_approval": True}
        soma.must(201, "POST", "/api/v1/environments", {"name": "guarded", **target})
        soma.must(201, "POST", "/api/v1/environments", {"name": "twofold", "approval_count": 2, **target})
        soma.must(201, "POST", "/api/v1/environments", {"name": "brief", "approval_seconds": 20, **target})
        yield soma
        logs = "".join(p.read_text(errors="replace") for p in soma.folder.glob("*.log"))
    finally:
        soma.stop()
        smtp.stop()
        slack.shutdown()
    for secret in (PASSWORD, SIGNING, WEBHOOK, "somal_"):
        assert secret not in logs, "a secret stands in the log"


def ask(soma, name, environment="guarded", **more):
    order = soma.order(name, token="olga", environment=environment, **more)
    assert order["state"] == "awaiting_approval", order
    return order


def link_of(soma, name, who, subject="Approval needed"):
    mails = wait_for(f"a mail to {who} about {name}", 40, lambda: [m for m in soma.mailbox.to(f"{who}@example.com", subject) if name in m["Subject"]])
    text = mails[-1].get_content()
    return re.search(r"http://\S+(/approve/\S+)", text).group(1), text, mails[-1]


def page(soma, path, **options):
    return soma.api("GET", path, token=options.pop("token", None), **options)


def proof_of(answer):
    return re.search(r'name="proof" value="([^"]+)"', answer.body.decode()).group(1)


def post(soma, path, decision="approve", proof=None, token=None, comment="", **options):
    form = urllib.parse.urlencode({"decision": decision, "comment": comment, **({"proof": proof} if proof else {})}).encode()
    return soma.api("POST", path, raw=form, token=token, headers={"Content-Type": "application/x-www-form-urlencoded"}, **options)


def ended(soma, order):
    return soma.wait_order(order["id"], ("ready", "failed", "canceled"))


def test_a_link_in_a_mail_opens_a_page_that_approves_once(outside):
    order = ask(outside, "link-db")
    path, text, mail = link_of(outside, "link-db", "anton")
    assert mail["From"] == "Soma <soma@example.com>" and mail["To"] == "anton@example.com" and mail["Auto-Submitted"] == "auto-generated"
    assert "olga asks to create" in text and "to add" in text and "postgresql_database" in text
    assert not [m for m in outside.mailbox.to("olga@example.com", "Approval needed")], "the orderer is not asked"
    for _ in range(3):  # programs that scan mail follow links
        shown = page(outside, path)
        assert shown.status == 200 and "olga" in shown.body.decode() and "postgresql_database" in shown.body.decode()
    csp = shown.headers["Content-Security-Policy"]
    assert "default-src 'none'" in csp and "form-action 'self'" in csp and "frame-ancestors 'none'" in csp and "unsafe" not in csp
    assert shown.headers["Cache-Control"] == "no-store" and shown.headers["Referrer-Policy"] == "no-referrer"
    assert outside.get_order(order["id"])["state"] == "awaiting_approval"
    assert post(outside, path).status == 400 and post(outside, path, proof="x" * 43).status == 400, "only the page's own form decides"
    assert post(outside, path, "perhaps", proof_of(shown)).status == 400
    assert outside.get_order(order["id"])["state"] == "awaiting_approval"
    # two clicks at once: one counts
    answers = []
    clicks = [threading.Thread(target=lambda: answers.append(post(outside, path, proof=proof_of(shown), comment="by <mail> & link").status)) for _ in range(4)]
    for c in clicks:
        c.start()
    for c in clicks:
        c.join()
    assert sorted(answers) == [200, 409, 409, 409], answers
    done = ended(outside, order)
    assert done["state"] == "ready" and [(d["person"], d["via"], d["comment"]) for d in done["approval"]["decisions"]] == [("anton", "link", "by <mail> & link")]
    assert page(outside, path).status == 409
    # berta's link about the same order is of no use any more
    other, _, _ = link_of(outside, "link-db", "berta")
    assert page(outside, other).status == 409
    entry = [e for e in outside.must(200, "GET", "/api/v1/audit?action=order.approve&limit=50").json["items"] if order["id"] in str(e.get("detail"))]
    assert len(entry) == 1 and "anton" in str(entry[0]) and '"via": "link"' in json.dumps(entry[0]["detail"])
    wait_for("the orderer is told", 30, lambda: outside.mailbox.to("olga@example.com", "Your order is approved"))
    stored = outside.store.sql("select count(*) from soma.approval_link", "soma")
    assert int(stored[0][0]) >= 2 and path.rsplit("/", 1)[1] not in str(outside.store.sql("select to_jsonb(d)::text from soma.notify_delivery d", "soma"))


def test_a_link_is_its_persons_alone(outside):
    order = ask(outside, "bound-db")
    path, _, _ = link_of(outside, "bound-db", "anton")
    proof = proof_of(page(outside, path))
    for token in ("berta", "olga", "admin"):
        assert page(outside, path, token=token).status == 403
        answer = post(outside, path, proof=proof, token=token)
        assert answer.status == 403 and "is for anton" in answer.body.decode(), answer
    session = outside.api("POST", "/api/v1/session", {"name": "olga", "password": "a long password of olga"}, token=None)
    cookie = session.headers["Set-Cookie"].split(";")[0]
    form = urllib.parse.urlencode({"decision": "approve", "proof": proof}).encode()
    answer = outside.api("POST", path, raw=form, token=None, headers={"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie})
    assert answer.status == 403, answer
    assert outside.get_order(order["id"])["state"] == "awaiting_approval"
    # a link for the orderer is never mailed; were there one, it would not count
    token = path.rsplit("/", 1)[1]
    digest = hashlib.sha256(token.encode()).hexdigest()
    outside.store.sql(f"update soma.approval_link set person = (select id from soma.account where name = 'olga') where hash = '\\x{digest}'", "soma")
    answer = post(outside, path, proof=proof)
    assert answer.status == 403 and "own" in answer.body.decode(), answer
    assert page(outside, "/approve/somal_nonsense").status == 404 and page(outside, path[:-1] + ("a" if path[-1] != "a" else "b")).status == 404
    mine, _, _ = link_of(outside, "bound-db", "berta")
    assert post(outside, mine, "reject", proof_of(page(outside, mine)), comment="no").status == 200
    assert ended(outside, order)["state"] == "failed"


def test_two_links_are_two_approvals_and_reminders_come(outside):
    order = ask(outside, "two-links", "twofold")
    paths = [link_of(outside, "two-links", who)[0] for who in ("anton", "berta")]
    first = post(outside, paths[0], proof=proof_of(page(outside, paths[0])))
    assert first.status == 200 and "1 more" in first.body.decode()
    assert post(outside, paths[1], proof=proof_of(page(outside, paths[1]))).status == 200
    assert ended(outside, order)["state"] == "ready"
    late = ask(outside, "late-links", "brief")
    link_of(outside, "late-links", "anton", "Still waiting")
    path, _, _ = link_of(outside, "late-links", "anton")
    assert outside.wait_order(late["id"], ("canceled",), seconds=60)["approval"]["state"] == "expired"
    assert page(outside, path).status == 409


def test_a_mail_server_that_is_away_is_tried_again(outside):
    outside.mailbox.away = 2
    order = ask(outside, "away-db")
    link_of(outside, "away-db", "anton")
    outside.must(200, "POST", f"/api/v1/orders/{order['id']}/approval", {"decision": "reject"}, token="anton")
    tried = outside.must(200, "GET", "/api/v1/notify/deliveries?limit=500").json["items"]
    assert [d for d in tried if d["attempts"] > 1 and d["state"] == "sent"]
    bad = outside.cli("notify", "test", "--mail", "nobody@example.com", check=False)
    assert bad.returncode == 1 and "550" in bad.stdout, bad.stdout + bad.stderr
    assert outside.cli("notify", "test", "--mail", "berta").returncode == 0
    wait_for("the test mail", 20, lambda: outside.mailbox.to("berta@example.com", "Soma can send"))
    assert outside.api("POST", "/api/v1/notify/test", {"channel": "mail"}, token="anton").status == 403


def test_kill_9_of_serve_in_the_middle(outside):
    order = ask(outside, "kill-db")
    path, _, _ = link_of(outside, "kill-db", "anton")
    proof, stop, answers = proof_of(page(outside, path)), threading.Event(), []

    def click():
        while not stop.is_set():
            try:
                answers.append(post(outside, path, proof=proof, timeout=10).status)
            except OSError:
                answers.append(None)
    clicks = [threading.Thread(target=click) for _ in range(3)]
    for c in clicks:
        c.start()
    outside.nodes[0].kill("serve")
    time.sleep(0.5)
    outside.nodes[0].kill("serve")
    wait_for("somebody's click was answered", 120, lambda: 200 in answers or 409 in answers or 404 in answers or 410 in answers)
    stop.set()
    for c in clicks:
        c.join()
    wait_for("serve is back", 60, outside.nodes[0].ready)
    done = ended(outside, order)
    assert done["state"] == "ready" and len(done["approval"]["decisions"]) == 1 and answers.count(200) <= 1
    assert outside.store.sql(f"select count(*) from soma.approval_decision d join soma.approval a on a.id = d.approval where a.order_id = '{order['id']}'", "soma") == [["1"]]


# ---- Slack ----

def press(soma, action, value, user="U0ANTON", signing=SIGNING, age=0, body=None, signature=None):
    payload = {"type": "block_actions", "user": {"id": user}, "team": {"id": "T000"}, "actions": [{"action_id": action, "value": value}],
               "response_url": soma.slack_url + "/actions/" + secrets.token_hex(6), "trigger": secrets.token_hex(4)}
    body = body or urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
    stamp = str(int(time.time()) - age)
    signature = signature or "v0=" + hmac.new(signing.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    answer = soma.api("POST", "/api/v1/slack/interactions", raw=body, token=None, headers={
        "Content-Type": "application/x-www-form-urlencoded", "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature})
    return answer, body, signature, payload["response_url"]


def message_about(name):
    def find():
        return [m for path, m in Slack.posts if path == WEBHOOK and name in json.dumps(m) and "blocks" in m]
    return wait_for(f"a Slack message about {name}", 40, find)[-1]


def test_slack_approves_for_the_person_who_is_linked(outside):
    order = ask(outside, "slack-db")
    message = message_about("slack-db")
    buttons = {b["action_id"]: b["value"] for b in message["blocks"][1]["elements"]}
    assert set(buttons) == {"soma_approve", "soma_reject"} and "olga" in message["blocks"][0]["text"]["text"]
    stranger, _, _, response = press(outside, "soma_approve", buttons["soma_approve"])
    assert stranger.status == 200 and "not linked" in stranger.json["text"], stranger
    told = wait_for("the stranger is told", 30, lambda: [m for p, m in Slack.posts if response.endswith(p)])[0]
    code = re.search(r"--code (\S+)", told["text"]).group(1)
    assert told["response_type"] == "ephemeral" and told["replace_original"] is False
    assert outside.get_order(order["id"])["state"] == "awaiting_approval"
    outside.cli("people", "link-slack", "--code", code, token="anton")
    assert outside.cli("people", "link-slack", "--code", code, token="berta", check=False).returncode != 0
    outside.cli("people", "link-slack", "olga", "--user", "U0OLGA")
    assert outside.api("PUT", "/api/v1/people/anton/slack", {"user": "U0OLGA"}, token="olga").status == 403
    own, _, _, _ = press(outside, "soma_approve", buttons["soma_approve"], "U0OLGA")
    assert own.status == 200 and "own" in own.json["text"] and outside.get_order(order["id"])["state"] == "awaiting_approval"
    for wrong in ({"signing": "other"}, {"age": 400}, {"age": -400}, {"signature": "v0=" + "0" * 64}, {"signature": "v1=" + "0" * 64}):
        assert press(outside, "soma_approve", buttons["soma_approve"], **wrong)[0].status == 401, wrong
    assert outside.get_order(order["id"])["state"] == "awaiting_approval"
    yes, body, signature, response = press(outside, "soma_approve", buttons["soma_approve"])
    assert yes.status == 200 and "approved by anton" in yes.json["text"], yes
    again = press(outside, "soma_approve", buttons["soma_approve"], body=body, signature=signature)[0]
    assert again.status == 401, "the same request is refused the second time"
    done = ended(outside, order)
    assert done["state"] == "ready" and [(d["person"], d["via"]) for d in done["approval"]["decisions"]] == [("anton", "slack")]
    replaced = wait_for("the message is replaced", 30, lambda: [m for p, m in Slack.posts if response.endswith(p)])[0]
    assert replaced["replace_original"] is True
    late = press(outside, "soma_reject", buttons["soma_reject"])[0]
    assert late.status == 200 and "Not done" in late.json["text"]


def test_slack_never_answers_elsewhere(outside):
    before = len(outside.must(200, "GET", "/api/v1/notify/deliveries?limit=500").json["items"])
    payload = {"type": "block_actions", "user": {"id": "U0X"}, "actions": [{"action_id": "soma_approve", "value": "x"}], "response_url": "http://169.254.169.254/latest"}
    body = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
    assert press(outside, "", "", body=body)[0].status == 200
    assert press(outside, "", "", body=b"payload=%7Bnot")[0].status == 400
    assert press(outside, "", "", body=b"nothing=1")[0].status == 400
    assert len(outside.must(200, "GET", "/api/v1/notify/deliveries?limit=500").json["items"]) == before
