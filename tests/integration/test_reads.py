"""Reads of a service come from memory between its events: they must follow every write, on every node, and know no rights of their own."""
import secrets
import threading
import time

import pytest

from support.platform import wait_for

COURSE = ["creating", "ready", "destroying", "destroyed"]


@pytest.fixture(scope="module")
def nodes(soma):
    """Two nodes of one installation."""
    second = soma.start("second")
    yield soma.nodes[0].url, second.url
    second.stop()
    soma.nodes.remove(second)


class Reader(threading.Thread):
    """Looks at one service on one node without a pause and keeps what it saw, in order."""

    def __init__(self, soma, url, name):
        super().__init__()
        self.soma, self.url, self.name, self.seen, self.over = soma, url, name, [], False

    def run(self):
        while not self.over:
            answer = self.soma.api("GET", f"/api/v1/services/{self.name}", url=self.url)
            if answer.status == 200 and answer.json["state"] not in self.seen[-1:]:
                self.seen.append(answer.json["state"])


def state(soma, name, url):
    answer = soma.api("GET", f"/api/v1/services/{name}", url=url)
    return answer.json["state"] if answer.status == 200 else answer.status


def test_a_read_follows_every_write_on_every_node(soma, nodes):
    readers = [Reader(soma, url, "read-db") for url in nodes for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        order = soma.order("read-db", wait=False)
        assert state(soma, "read-db", nodes[0]) == "creating"
        assert soma.wait_order(order["id"])["state"] == "ready"
        assert state(soma, "read-db", nodes[0]) == "ready", "what the order's reader was told holds for the service"
        wait_for("the other node sees it ready", 1, lambda: state(soma, "read-db", nodes[1]) == "ready", 0.01)
        order = soma.destroy("read-db", wait=False)
        assert state(soma, "read-db", nodes[0]) == "destroying", "who writes reads it at once"
        wait_for("the other node sees it destroying", 1, lambda: state(soma, "read-db", nodes[1]) != "ready", 0.01)
        assert soma.wait_order(order["id"])["state"] == "ready"
        wait_for("the end on both nodes", 1, lambda: [state(soma, "read-db", url) for url in nodes] == ["destroyed"] * 2, 0.01)
    finally:
        for reader in readers:
            reader.over = True
        for reader in readers:
            reader.join()
    for reader in readers:
        assert reader.seen == [s for s in COURSE if s in reader.seen], "time runs forward for each reader"
        assert reader.seen[-1] == "destroyed"


def test_an_etag_changes_with_the_service(soma):
    assert soma.order("tag-db")["state"] == "ready"
    first = soma.must(200, "GET", "/api/v1/services/tag-db")
    for _ in range(3):
        assert soma.api("GET", "/api/v1/services/tag-db", headers={"If-None-Match": first.headers["ETag"]}).status == 304
    soma.destroy("tag-db", wait=False)
    second = soma.api("GET", "/api/v1/services/tag-db", headers={"If-None-Match": first.headers["ETag"]})
    assert second.status == 200 and second.headers["ETag"] != first.headers["ETag"]


def test_a_hidden_service_looks_like_a_missing_one(soma):
    soma.must(201, "POST", "/api/v1/teams", {"name": "readers", "title": "Readers"})
    soma.person("robin", "developer@readers")
    soma.person("pat", "viewer@payments")
    assert soma.order("secret-db")["state"] == "ready"

    def refusal(name):
        answer = soma.api("GET", f"/api/v1/services/{name}", token="robin")
        assert answer.status == 404
        return {k: v.replace(name, "NAME") for k, v in answer.json.items() if k != "trace_id" and isinstance(v, str)}, sorted(answer.headers.keys())

    for _ in range(3):
        assert soma.api("GET", "/api/v1/services/secret-db", token="pat").status == 200
        assert refusal("secret-db") == refusal("nosuch-db")


def test_a_change_that_nobody_told_of_is_seen_after_a_moment(soma):
    assert soma.order("quiet-db")["state"] == "ready"
    soma.must(200, "GET", "/api/v1/services/quiet-db")
    soma.store.sql("update soma.service set warning = 'by hand' where name = 'quiet-db'", "soma")
    wait_for("the row as it is", 2.5, lambda: soma.must(200, "GET", "/api/v1/services/quiet-db").json["warning"] == "by hand", 0.02)


def test_each_change_of_the_row_is_an_event(soma):
    assert soma.order("told-db")["state"] == "ready"
    told = soma.store.sql("select type, coalesce(data->>'state', data->>'what') from soma.event where entity = 'service:told-db' order by xid, id", "soma")
    assert ["service.changed", "resources"] in told, "each state that is stored counts its resources"
    assert [event for event in told if event[1] != "resources"] == [["service.state", "creating"], ["service.changed", "outputs"], ["service.state", "ready"]]


def test_memory_does_not_outlive_the_database_for_long(own_soma):
    soma = own_soma()
    assert soma.order("kept-db")["state"] == "ready"
    soma.must(200, "GET", "/api/v1/services/kept-db")
    soma.store.stop("immediate")
    gone = time.monotonic()

    def refused():
        answer = soma.api("GET", "/api/v1/services/kept-db")
        assert answer.status in (200, 503)
        return answer if answer.status == 503 else None

    answer = wait_for("503 once the entry is old", 10, refused)
    assert answer.headers["Retry-After"] and time.monotonic() - gone < 8
    soma.store.start()
    wait_for("the node comes back by itself", 20, lambda: soma.api("GET", "/api/v1/services/kept-db").status == 200)
    order = soma.api("POST", "/api/v1/orders", {"kind": "destroy", "name": "kept-db"}, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert order.status == 202 and state(soma, "kept-db", soma.url) == "destroying"
