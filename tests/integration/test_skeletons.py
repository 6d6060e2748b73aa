"""Golden paths that make a repository: rendered, pushed once whatever dies meanwhile, never over what is there, left by a destroy."""
import json
import os
import pathlib
import secrets
import subprocess

import pytest

from support.githost import GitHost
from support.platform import CHECKOUT, git, wait_for

MANIFEST = """
apiVersion: soma/v1
kind: Template
metadata: { name: little-app, title: A little application }
spec:
  owner: platform
  type: website
  parameters:
    type: object
    properties:
      title: { type: string, default: Little, maxLength: 5000 }
  outputs:
    token: { title: Token }
  repository:
    skeleton: skeleton
    name: ${team}/${name}
    branch: trunk
    values: { service: "${name}", title: "${parameters.title}", token: "${outputs.token}" }
  catalog:
    kind: Component
    description: "Code in ${outputs.repository_url}"
"""
MODULE = """
terraform {
  required_version = ">= 1.5"
}
variable "soma" {
  type = object({ name = string })
}
variable "title" {
  type = string
}
resource "terraform_data" "this" {
  input = var.soma.name
}
output "token" {
  value = "t-${terraform_data.this.output}"
}
"""
BINARY = bytes(range(256)) + b"${service}"


@pytest.fixture(scope="module")
def golden_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paths")
    path = folder / "little-app"
    (path / "skeleton/src/${service}").mkdir(parents=True)
    (path / "template.yaml").write_text(MANIFEST)
    (path / "main.tf").write_text(MODULE)
    (path / "skeleton/README.md").write_text("# ${title}\n${service} has ${token}; $${service}, ${other}, $service and ${ service } stay\n")
    (path / "skeleton/src/${service}/run").write_text("#!/bin/sh\necho ${HOME}\n")
    (path / "skeleton/data.bin").write_bytes(BINARY)
    return folder


def place(soma, name, base, **credentials):
    soma.must(201, "POST", "/api/v1/environments", {"name": name, "settings": {"git_remote_base": base} if base else {}, "credentials": credentials})


@pytest.fixture(scope="module")
def app(soma, golden_path, tmp_path_factory):
    """The session's installation with the little golden path, an environment "code" and its folder of repositories."""
    remotes = tmp_path_factory.mktemp("remotes")
    soma.add_templates("little", golden_path)
    assert soma.api("GET", "/api/v1/templates/little-app").status == 200, soma.api("GET", "/api/v1/templates/repositories/little")
    place(soma, "code", f"file://{remotes}/")
    soma.remotes = remotes
    assert soma.must(200, "GET", "/api/v1/templates/little-app").json["outputs"].keys() == {"token", "repository_url"}
    return soma


def order(soma, name, environment="code", **more):
    return soma.order(name, template="little-app", environment=environment, **{"parameters": {}, **more})


def refused(soma, name, environment="code", parameters=None):
    body = {"kind": "create", "name": name, "template": "little-app", "environment": environment, "team": "payments", "parameters": parameters or {}}
    return soma.api("POST", "/api/v1/orders", body, headers={"Idempotency-Key": secrets.token_hex(8)})


def test_a_repository_is_made_filled_and_known(app, tmp_path):
    done = order(app, "first-app", parameters={"title": "My ${service} & <co>"})
    assert done["state"] == "ready", done["reason"]
    url = f"file://{app.remotes}/payments/first-app.git"
    outputs = app.must(200, "GET", "/api/v1/services/first-app/outputs").json["outputs"]
    assert outputs["repository_url"] == {"value": url, "sensitive": False, "title": "Repository"} and outputs["token"]["value"] == "t-first-app"
    git(tmp_path, "clone", "-q", url, "clone")
    clone = tmp_path / "clone"
    assert git(clone, "branch", "--show-current") == "trunk"
    assert (clone / "README.md").read_text() == "# My ${service} & <co>\nfirst-app has t-first-app; ${service}, ${other}, $service and ${ service } stay\n"
    assert (clone / "src/first-app/run").read_text() == "#!/bin/sh\necho ${HOME}\n" and os.access(clone / "src/first-app/run", os.X_OK)
    assert (clone / "data.bin").read_bytes() == BINARY
    commit = git(clone, "rev-parse", "HEAD")
    assert git(clone, "log", "--format=%an <%ae> %s") == "Soma <soma@localhost> Start first-app"
    events = [e for e in app.events(done["id"]) if e["type"] == "repository.pushed"]
    assert [e["data"] for e in events] == [{"repository": url, "branch": "trunk", "commit": commit}]
    entity = json.loads(app.store.sql("select entity from soma.catalog_entity where name = 'first-app'", "soma")[0][0])
    assert {"url": url, "title": "Repository"} in entity["metadata"]["links"] and entity["metadata"]["description"] == f"Code in {url}"
    assert entity["metadata"]["annotations"]["backstage.io/source-location"] == f"url:{url}"
    entries = app.must(200, "GET", "/api/v1/audit?action=repository.push").json["items"]
    assert [(e["subject"], e["person"]) for e in entries if e["subject"] == "service:first-app"] == [("service:first-app", "admin")]
    assert not list((app.folder / "node/pushes").glob("*")), "nothing is left of the work"


def test_a_destroy_leaves_the_repository_and_says_so(app):
    assert order(app, "left-app")["state"] == "ready"
    done = app.cli("destroy", "left-app", "--yes", "--watch")
    url = f"file://{app.remotes}/payments/left-app.git"
    assert f"repository {url} stays" in done.stdout + done.stderr
    last = app.must(200, "GET", "/api/v1/orders?service=left-app").json["items"][0]
    assert last["state"] == "ready" and url in last["reason"] and "stays" in last["reason"]
    assert [e["data"] for e in app.events(last["id"]) if e["type"] == "repository.kept"] == [{"repository": url}]
    assert git(app.remotes / "payments/left-app.git", "log", "--format=%s", "trunk") == "Start left-app"
    # The name is free, the repository's is not: nothing is made before that is known.
    again = order(app, "left-app")
    assert again["state"] == "failed" and url in again["reason"] and "something else" in again["reason"]
    assert again["problem"]["type"] == "repository" and again["problem"]["repository"] == url
    assert not any(e["type"].startswith("terraform.") for e in app.events(again["id"]))
    assert git(app.remotes / "payments/left-app.git", "rev-list", "--count", "--all") == "1"


def test_a_foreign_repository_is_never_overwritten(app, tmp_path):
    foreign = app.remotes / "payments/foreign-app.git"
    git(tmp_path, "init", "-q", "-b", "trunk", "work")
    (tmp_path / "work/precious").write_text("ours\n")
    git(tmp_path / "work", "add", "-A")
    git(tmp_path / "work", "commit", "-q", "-m", "precious")
    git(tmp_path, "clone", "-q", "--bare", "work", foreign)
    before = git(foreign, "for-each-ref")
    done = order(app, "foreign-app")
    assert done["state"] == "failed" and f"file://{foreign}" in done["reason"], done["reason"]
    assert app.api("GET", "/api/v1/services/foreign-app").json["state"] == "destroyed" and git(foreign, "for-each-ref") == before


def test_one_that_appears_meanwhile_fails_the_order_and_a_destroy_works(app, golden_path, tmp_path):
    """Between the look and the push somebody else fills it: all else stands, nothing is overwritten, destroy takes it away."""
    host = GitHost(tmp_path)
    try:
        host.make("late.git")
        (tmp_path / "payments").mkdir()
        os.rename(tmp_path / "late.git", tmp_path / "payments/late-app.git")
        place(app, "late", host.url)
        app.must(200, "PATCH", "/api/v1/environments/late", {"require_approval": True})
        waiting = order(app, "late-app", environment="late")
        assert waiting["state"] == "awaiting_approval"
        git(tmp_path, "init", "-q", "-b", "trunk", "work")
        git(tmp_path / "work", "commit", "-q", "--allow-empty", "-m", "quicker")
        git(tmp_path / "work", "push", "-q", tmp_path / "payments/late-app.git", "trunk")
        if "late" not in app.tokens:
            app.person("late", "approver@payments")
        app.must(200, "POST", f"/api/v1/orders/{waiting['id']}/approval", {"decision": "approve"}, token="late")
        done = app.wait_order(waiting["id"], states=("ready", "failed"))
        assert done["state"] == "failed" and "late-app.git" in done["reason"] and "something else" in done["reason"], done["reason"]
        assert git(tmp_path / "payments/late-app.git", "log", "--format=%s", "trunk") == "quicker"
        service = app.must(200, "GET", "/api/v1/services/late-app").json
        assert service["state"] == "failed" and service["resources"] == 1
        app.must(200, "PATCH", "/api/v1/environments/late", {"require_approval": False})
        assert app.destroy("late-app")["state"] == "ready"
    finally:
        host.stop()


@pytest.mark.parametrize("environment, parameters, field", [
    ("local", {}, "/environment"), ("code", {"title": "two\nlines"}, "/parameters"), ("code", {"title": "x" * 4500}, "/parameters"), ("code", {"colour": "red"}, "/parameters/colour")])
def test_what_cannot_be_is_refused_at_once(app, environment, parameters, field):
    answer = refused(app, "refused-app", environment, parameters)
    assert answer.status == 422 and field in [e["pointer"] for e in answer.json["errors"]], answer


def test_a_missing_folder_fails_before_anything_is_made(app):
    place(app, "nowhere", "file:///nonexistent/repositories")
    done = order(app, "nowhere-app", environment="nowhere")
    assert done["state"] == "failed" and "/nonexistent/repositories" in done["reason"]


def test_over_http_with_a_sealed_password(app, tmp_path):
    host = GitHost(tmp_path, "robot", "hunter2-hunter2")
    try:
        (tmp_path / "payments").mkdir()
        host.make("payments/web-app.git")
        place(app, "hosted", host.url, GIT_USERNAME="robot", GIT_PASSWORD="hunter2-hunter2")
        place(app, "hosted-wrong", host.url, GIT_USERNAME="robot", GIT_PASSWORD="not-the-password")
        wrong = order(app, "web-app", environment="hosted-wrong")
        assert wrong["state"] == "failed" and "refused" in wrong["reason"], wrong["reason"]
        missing = order(app, "missing-app", environment="hosted")
        assert missing["state"] == "failed" and "make an empty one" in missing["reason"], missing["reason"]
        done = order(app, "web-app", environment="hosted")
        assert done["state"] == "ready", done["reason"]
        assert host.pushes == 1 and git(tmp_path / "payments/web-app.git", "log", "--format=%s", "trunk") == "Start web-app"
        told = json.dumps([done, wrong, missing, app.events(done["id"]), app.events(wrong["id"])]) + app.nodes[0].log.read_text()
        assert "hunter2" not in told and "not-the-password" not in told
    finally:
        host.stop()


def test_a_worker_killed_in_the_middle_of_a_push_neither_loses_nor_repeats_it(own_soma, golden_path, tmp_path):
    soma = own_soma(lease_seconds=10)
    soma.add_templates("little", golden_path)
    host = GitHost(tmp_path)
    try:
        (tmp_path / "payments").mkdir()
        host.make("payments/cut-app.git")
        place(soma, "hosted", host.url)
        host.hold.set()
        begun = order(soma, "cut-app", environment="hosted", wait=False)
        assert host.held.wait(120), "the push has reached the host, and its answer is kept back"
        assert soma.get_order(begun["id"])["state"] == "registering"
        soma.nodes[0].kill("work")
        host.hold.clear()
        done = soma.wait_order(begun["id"])
        assert done["state"] == "ready", done["reason"]
        assert host.pushes == 1, "what the first try pushed was seen"
        assert git(tmp_path / "payments/cut-app.git", "rev-list", "--count", "--all") == "1"
        assert [e["type"] for e in soma.events(begun["id"])].count("repository.pushed") == 1
        assert soma.must(200, "GET", "/api/v1/services/cut-app/outputs").json["outputs"]["repository_url"]["value"] == f"{host.url}/payments/cut-app.git"
        wait_for("what the first try left is gone", 20, lambda: not list((soma.folder / "node/pushes").glob("*")))
    finally:
        host.hold.clear()
        host.stop()


def test_the_check_names_what_is_wrong_with_a_skeleton(golden_path, tmp_path):
    import shutil
    shutil.copytree(golden_path / "little-app", tmp_path / "app")
    (tmp_path / "app/skeleton/${colour}.txt").write_text("x")
    text = MANIFEST.replace("service: \"${name}\"", "service: \"${name}\", unused: x").replace("branch: trunk", "branch: a..b")
    (tmp_path / "app/template.yaml").write_text(text)
    build = pathlib.Path(os.environ.get("SOMA_BUILD", CHECKOUT / "build/release"))
    done = subprocess.run([build / "soma", "templates", "check", tmp_path], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "/spec/repository/branch" in done.stdout + done.stderr
    (tmp_path / "app/template.yaml").write_text(text.replace("a..b", "trunk"))
    said = subprocess.run([build / "soma", "templates", "check", tmp_path], check=False, capture_output=True, text=True, timeout=60)
    assert said.returncode == 1 and "/spec/repository/values/unused" in said.stdout and "${colour}.txt" in said.stdout, said
