"""The API as a picky program meets it: streams from where one wants, odd headers, proxies, compressed answers."""
import http.client
import json




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
