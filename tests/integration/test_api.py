"""The API as a picky program meets it: streams from where one wants, odd headers, proxies, compressed answers."""
import gzip
import http.client
import json

import pytest




class Stream:
    """A stream of server-sent events over a connection of its own; lines are read as they come."""

    def __init__(self, soma, path, token="admin", headers=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", soma.nodes[0].port, timeout=20)
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {soma.tokens[token]}", "Accept": "text/event-stream", **(headers or {})})
        self.answer = self.connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def block(self):
        """One block's fields."""
        fields = {}
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream ended"
            if line == "\n":
                if fields:
                    return fields
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value

    def until(self, entity):
        """Blocks up to the first event of the entity."""
        seen = []
        while True:
            seen.append(self.block())
            if "data" in seen[-1] and json.loads(seen[-1]["data"]).get("entity") == entity:
                return seen


def plan(soma, name):
    return soma.order(name, plan_only=True)["id"]


def test_the_stream_of_all_events_begins_now_unless_told(soma):
    old = plan(soma, "api-old")
    with Stream(soma, "/api/v1/events") as live:
        assert live.answer.status == 200
        place = live.block()
        assert set(place) == {"id"}, "a place without data: nobody takes it for an event"
        new = plan(soma, "api-new")
        entities = {json.loads(b["data"])["entity"] for b in live.until(f"order:{new}")}
        assert f"order:{old}" not in entities
    with Stream(soma, "/api/v1/events?from=start") as replayed:
        assert f"order:{old}" in {json.loads(b["data"])["entity"] for b in replayed.until(f"order:{new}")}
    with Stream(soma, f"/api/v1/events?cursor={place['id']}") as resumed, Stream(soma, "/api/v1/events?from=start", headers={"Last-Event-ID": place["id"]}) as by_header:
        assert f"order:{old}" not in {json.loads(b["data"])["entity"] for b in resumed.until(f"order:{new}")}
        assert f"order:{old}" not in {json.loads(b["data"])["entity"] for b in by_header.until(f"order:{new}")}


def test_pages_of_events_begin_now_unless_told(soma):
    now = soma.must(200, "GET", "/api/v1/events?format=json").json
    assert now["items"] == [] and now["cursor"]
    order = plan(soma, "api-paged")
    page = soma.must(200, "GET", f"/api/v1/events?format=json&limit=500&cursor={now['cursor']}").json
    assert {e["entity"] for e in page["items"] if e["entity"].startswith("order:")} == {f"order:{order}"}
    assert soma.must(200, "GET", "/api/v1/events?format=json&from=start&limit=1").json["items"]
    assert soma.must(200, "GET", f"/api/v1/orders/{order}/events?format=json&limit=1").json["items"][0]["data"] == {"state": "queued", "from": None}
    assert soma.api("GET", "/api/v1/events?format=json&from=yesterday").status == 400


def test_an_orders_stream_is_its_whole_log(soma):
    order = plan(soma, "api-whole")
    with Stream(soma, f"/api/v1/orders/{order}/events") as stream:
        first, second = stream.block(), stream.block()
        assert json.loads(first["data"])["data"] == {"state": "queued", "from": None}
    with Stream(soma, f"/api/v1/orders/{order}/events?cursor={first['id']}") as stream:
        assert stream.block() == second


@pytest.fixture(scope="module")
def proxied(soma):
    """A second node that believes what a proxy on 127.0.0.1 says."""
    node = soma.start("proxied", trusted_proxies="127.0.0.1, 10.0.0.0/8", sign_ins_per_minute=2)
    yield node
    node.stop()
    soma.nodes.remove(node)


def sign_in(soma, node, name, password, **headers):
    return soma.api("POST", "/api/v1/session", {"name": name, "password": password}, token=None, url=node.url, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_only_a_trusted_proxy_says_who_asks(soma, proxied):
    told = {"X_Forwarded_For": "6.6.6.6, 192.0.2.55", "X_Forwarded_Proto": "https"}
    for node, address, secure in ((soma.nodes[0], "127.0.0.1", False), (proxied, "192.0.2.55", True)):
        answer = sign_in(soma, node, "admin", soma.secrets["admin"], **told)
        assert answer.status == 201 and answer.headers["Set-Cookie"].endswith("; Secure") == secure, answer.headers["Set-Cookie"]
        entry = soma.must(200, "GET", "/api/v1/audit?action=session.create&limit=1").json["items"][0]
        assert entry["address"] == address, entry


def test_attempts_to_sign_in_are_counted_by_all_nodes_together(soma, proxied):
    """By name on both nodes; by address as the trusted proxy tells it, which a client cannot change."""
    seen = [sign_in(soma, soma.nodes[0], "api-ghost", "wrong").status for _ in range(10)]
    assert seen == [401] * 10, seen
    # A slow machine gives an attempt or two back meanwhile; a node that counted for itself would give ten.
    tries = (sign_in(soma, proxied, "api-ghost", "wrong", X_Forwarded_For="192.0.2.1") for _ in range(6))
    late = next((answer for answer in tries if answer.status != 401), None)
    assert late and late.status == 429 and int(late.headers["Retry-After"]) > 0, late
    spread = [sign_in(soma, proxied, f"api-ghost-{i}", "wrong", X_Forwarded_For=f"203.0.113.{i}, 198.51.100.9").status for i in range(16)]
    assert spread[:12] == [401] * 12 and 429 in spread[12:], spread
    assert sign_in(soma, proxied, "api-ghost-20", "wrong", X_Forwarded_For="198.51.100.10").status == 401


def fetch(soma, path, method="GET", token="admin", body=None, **headers):
    """One answer as it came, not unpacked."""
    connection = http.client.HTTPConnection("127.0.0.1", soma.nodes[0].port, timeout=20)
    given = {"Authorization": f"Bearer {soma.tokens[token]}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    connection.request(method, path, body=json.dumps(body) if body is not None else None, headers=given if body is None else {**given, "Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def test_long_answers_come_zipped_to_those_who_take_it(soma):
    path = "/api/v1/templates?limit=500"
    plain, text = fetch(soma, path)
    zipped, data = fetch(soma, path, Accept_Encoding="gzip")
    assert plain.headers["Content-Encoding"] is None and plain.headers["Vary"] == zipped.headers["Vary"] == "Accept-Encoding"
    assert zipped.headers["Content-Encoding"] == "gzip" and len(data) < len(text) and json.loads(gzip.decompress(data)) == json.loads(text)
    template, data = fetch(soma, "/api/v1/templates/postgres-database", Accept_Encoding="gzip")
    assert template.headers["Content-Encoding"] == "gzip" and json.loads(gzip.decompress(data))["name"] == "postgres-database"


def test_what_holds_a_secret_is_never_zipped(soma):
    """Nor is a stream; the length of a zipped secret beside chosen text would tell of it."""
    for i in range(12):
        soma.must(201, "POST", "/api/v1/teams", {"name": f"api-wide-{i}"})
        soma.must(201, "POST", "/api/v1/roles/bindings", {"account": "admin", "role": "viewer", "team": f"api-wide-{i}"})
    for method, path, body in (("GET", "/api/v1/session", None),
                               ("POST", "/api/v1/people", {"name": "api-long", "title": "x" * 190, "email": f"{'y' * 60}@{'z' * 60}.example"}),
                               ("PATCH", "/api/v1/environments/local", {"settings": {"long": "z" * 1900}})):
        answer, data = fetch(soma, path, method, body=body, Accept_Encoding="gzip")
        assert answer.status in (200, 201) and answer.headers["Content-Encoding"] is None, (path, answer.status)
        json.loads(data)
    assert len(fetch(soma, "/api/v1/session")[1]) > 1024
    with Stream(soma, "/api/v1/events?from=start", headers={"Accept-Encoding": "gzip"}) as stream:
        assert stream.answer.headers["Content-Encoding"] is None and stream.block()
