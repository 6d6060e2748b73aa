"""A real Prometheus finds the exporter by HTTP service discovery and sees an ordered database, without a change to its configuration."""
import json
import os
import secrets
import subprocess
import urllib.parse
import urllib.request

import pytest

from support.platform import free_port, wait_for

pytestmark = pytest.mark.skipif(not (os.environ.get("SOMA_PROMETHEUS") and os.environ.get("SOMA_EXPORTER")), reason="no Prometheus or exporter on this machine")


@pytest.fixture
def exporter(soma):
    port = free_port()
    env = {**soma.environment(), "DATA_SOURCE_URI": f"127.0.0.1:{soma.workloads.port}/postgres?sslmode=disable", "DATA_SOURCE_USER": "soma_monitor",
           "DATA_SOURCE_PASS": soma.secrets["monitor"]}
    process = subprocess.Popen([os.environ["SOMA_EXPORTER"], f"--web.listen-address=127.0.0.1:{port}"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


@pytest.fixture
def prometheus(soma, tmp_path):
    port = free_port()
    token = soma.must(201, "POST", "/api/v1/tokens", {"name": "prometheus", "scopes": ["monitoring"]}, headers={"Idempotency-Key": secrets.token_hex(8)}).json["token"]
    (tmp_path / "token").write_text(token)
    (tmp_path / "prometheus.yml").write_text(f"""
scrape_configs:
  - job_name: soma
    scrape_interval: 1s
    http_sd_configs:
      - url: {soma.url}/api/v1/monitoring/targets
        refresh_interval: 1s
        authorization: {{ credentials_file: {tmp_path}/token }}
""")
    process = subprocess.Popen([os.environ["SOMA_PROMETHEUS"], f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


def query(prometheus, expression):
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/query?query={urllib.parse.quote(expression)}", timeout=5) as answer:
            return json.load(answer)["data"]["result"]
    except OSError:
        return []


def test_prometheus_sees_an_ordered_database(soma, exporter, prometheus):
    soma.must(200, "PATCH", "/api/v1/environments/local", {"settings": {"exporter": exporter}})
    order = soma.order("watched-db")
    assert order["state"] == "ready", order["reason"]
    assert soma.must(200, "GET", "/api/v1/services/watched-db").json["warning"] == ""
    wait_for("Prometheus has the database's size", 60, lambda: query(prometheus, 'pg_database_size_bytes{datname="watched-db"}'), 0.5)
    assert soma.destroy("watched-db")["state"] == "ready"


def test_targets_need_a_token_of_their_scope(soma):
    assert soma.api("GET", "/api/v1/monitoring/targets", token=None).status == 401
    other = soma.must(201, "POST", "/api/v1/tokens", {"name": "reader", "scopes": ["read"]}, headers={"Idempotency-Key": secrets.token_hex(8)}).json["token"]
    assert soma.api("GET", "/api/v1/monitoring/targets", token=other).status == 403


def test_rules_and_dashboard_are_read_unchanged(soma, tmp_path):
    assert soma.order("ruled-db")["state"] == "ready"
    rules = soma.must(200, "GET", "/api/v1/services/ruled-db/monitoring/rules")
    (tmp_path / "rules.yml").write_bytes(rules.body)
    promtool = os.path.join(os.path.dirname(os.environ["SOMA_PROMETHEUS"]), "promtool")
    done = subprocess.run([promtool, "check", "rules", str(tmp_path / "rules.yml")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"ruled-db" in rules.body
    dashboard = soma.must(200, "GET", "/api/v1/services/ruled-db/monitoring/dashboard").json
    assert dashboard["panels"] and "ruled-db" in json.dumps(dashboard)
