"""Runs that fail, hostile templates that are refused or contained, both engines side by side."""
import os
import shutil
import textwrap

import pytest

from support.platform import CHECKOUT, git, wait_for

SOMA_VARIABLE = (CHECKOUT / "templates/postgres-database")


def golden_path(folder, name, main, parameters="", outputs=""):
    """A minimal golden path in a repository of its own."""
    (folder / name).mkdir(parents=True)
    (folder / name / "template.yaml").write_text(textwrap.dedent(f"""\
        apiVersion: soma/v1
        kind: Template
        metadata: {{name: {name}, title: {name}}}
        spec:
          owner: platform
          type: test
          parameters:
            type: object
            properties: {{{parameters}}}
        """) + outputs)
    (folder / name / "main.tf").write_text(SOMA_TF + main)


SOMA_TF = """
variable "soma" {
  type = object({ name = string, team = string, owner = string, cost_centre = string, environment = string, region = string, tags = map(string), endpoints = map(string) })
}
"""

POSTGRES_TF = """
terraform {
  required_providers {
    postgresql = { source = "cyrilgdn/postgresql" }
  }
}
provider "postgresql" {
  host      = var.soma.endpoints["postgres_host"]
  port      = tonumber(var.soma.endpoints["postgres_port"])
  sslmode   = "disable"
  superuser = false
}
"""


@pytest.fixture(scope="module")
def paths(soma, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paths")
    golden_path(folder, "fails-midway", POSTGRES_TF + """
resource "postgresql_role" "first" {
  name = var.soma.name
}
resource "postgresql_database" "second" {
  name  = "${var.soma.name}-db"
  owner = "no-such-role"
  depends_on = [postgresql_role.first]
}
""")
    golden_path(folder, "bad-plan", """
output "broken" {
  value = tonumber("not a number")
}
""")
    golden_path(folder, "reads-files", """
output "stolen" {
  value = file("/etc/passwd")
}
""")
    golden_path(folder, "reads-environment", """
output "stolen" {
  value = filebase64("/proc/1/environ")
}
resource "terraform_data" "x" {
  input = length(filebase64("/proc/1/environ"))
}
""")
    soma.add_templates("tests", folder)
    return soma


def test_an_apply_that_fails_midway_keeps_its_state_and_can_be_destroyed(paths):
    order = paths.order("midway", template="fails-midway", parameters={})
    assert order["state"] == "failed"
    diagnostics = order["problem"]["diagnostics"]
    assert any("no-such-role" in d["summary"] + d.get("detail", "") for d in diagnostics), order
    assert any(d.get("file") == "main.tf" and d["line"] > 0 for d in diagnostics if d["severity"] == "error"), diagnostics
    service = paths.must(200, "GET", "/api/v1/services/midway").json
    assert service["state"] == "failed" and service["resources"] >= 1
    assert paths.workloads.sql("select count(*) from pg_roles where rolname = 'midway'") == [["1"]]
    assert paths.destroy("midway")["state"] == "ready"
    assert paths.workloads.sql("select count(*) from pg_roles where rolname = 'midway'") == [["0"]]


def test_a_plan_that_fails_says_what_terraform_said(paths):
    order = paths.order("unplanned", template="bad-plan", parameters={})
    assert order["state"] == "failed" and "main.tf" in order["reason"], order["reason"]
    assert paths.destroy("unplanned")["state"] == "ready"


def test_the_box_hides_files_of_the_host(paths):
    order = paths.order("thief", template="reads-files", parameters={})
    assert order["state"] == "failed" and "/etc/passwd" in order["reason"], order
    assert "root:" not in str(order)


def test_the_box_has_an_empty_environment(paths):
    order = paths.order("spy", template="reads-environment", parameters={})
    if order["state"] == "ready":  # readable, and nothing in it
        assert paths.must(200, "GET", "/api/v1/services/spy").json["resources"] == 1
    for event in paths.events(order["id"]):
        assert "PGPASSWORD" not in str(event) and paths.secrets["provisioner"] not in str(event)


@pytest.mark.parametrize("engine", ["SOMA_TOFU", "SOMA_TERRAFORM"])
def test_both_engines_walk_the_road(own_soma, engine):
    if not os.environ.get(engine):
        pytest.skip(f"{engine} names no engine on this machine")
    soma = own_soma(engine=os.environ[engine])
    order = soma.order("engine-db")
    assert order["state"] == "ready", order["reason"]
    assert {run["engine"] for run in order["runs"]} == {"tofu" if engine == "SOMA_TOFU" else "terraform"}
    assert soma.destroy("engine-db")["state"] == "ready"
    assert soma.workloads.sql("select count(*) from pg_database where datname = 'engine-db'") == [["0"]]


FORBIDDEN = {
    "provisioner": 'resource "terraform_data" "x" {\n  provisioner "local-exec" {\n    command = "id"\n  }\n}\n',
    "external": 'data "external" "x" {\n  program = ["id"]\n}\n',
    "http": 'data "http" "x" {\n  url = "http://127.0.0.1"\n}\n',
    "terraform_remote_state": 'data "terraform_remote_state" "x" {\n  backend = "local"\n  config = { path = "/etc/passwd" }\n}\n',
    "backend": 'terraform {\n  backend "local" {\n    path = "/tmp/x"\n  }\n}\n',
    "cloud": 'terraform {\n  cloud {\n    organization = "x"\n  }\n}\n',
    "alias": 'provider "aws" {\n  alias = "other"\n}\n',
    "module": 'module "x" {\n  source = "git::https://example.com/x.git"\n}\n',
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_forbidden_thing_is_refused_with_file_and_line(soma, tmp_path, what):
    golden_path(tmp_path, "forbidden", FORBIDDEN[what])
    done = soma.cli("templates", "check", str(tmp_path), check=False)
    assert done.returncode == 1 and "main.tf:" in done.stdout + done.stderr and what in done.stdout + done.stderr, done


@pytest.mark.parametrize("name", ["override.tf", "main_override.tf", "x.auto.tfvars", "terraform.tfvars"])
def test_a_forbidden_file_is_refused(soma, tmp_path, name):
    golden_path(tmp_path, "forbidden", "")
    (tmp_path / "forbidden" / name).write_text("")
    done = soma.cli("templates", "check", str(tmp_path), check=False)
    assert done.returncode == 1 and name in done.stdout + done.stderr, done


def test_a_broken_manifest_hides_no_other(soma, tmp_path):
    golden_path(tmp_path, "good-one", "")
    golden_path(tmp_path, "bad-one", "")
    manifest = tmp_path / "bad-one/template.yaml"
    manifest.write_text(manifest.read_text().replace("type: test", "tpye: test"))
    work = soma.add_templates("mixed", tmp_path)
    repository = soma.must(200, "GET", "/api/v1/templates/repositories/mixed").json
    problems = [p for p in repository["problems"] if "bad-one" in p["path"]]
    assert any(p["line"] > 0 and "tpye" in p["reason"] for p in problems), repository
    assert soma.api("GET", "/api/v1/templates/good-one").status == 200
    assert soma.api("GET", "/api/v1/templates/bad-one").status == 404
    manifest = work / "bad-one/template.yaml"
    manifest.write_text(manifest.read_text().replace("tpye: test", "type: test"))
    git(work, "commit", "-qam", "mend")
    soma.cli("templates", "refresh", "mixed", "--wait")
    assert soma.api("GET", "/api/v1/templates/bad-one").status == 200
    shutil.rmtree(work)
    soma.api("POST", "/api/v1/templates/repositories/mixed/refresh", {})
    gone = wait_for("the repository's problem is told", 30, lambda: (lambda r: r if r["problems"] else None)(soma.must(200, "GET", "/api/v1/templates/repositories/mixed").json))
    assert gone["problems"] and soma.api("GET", "/api/v1/templates/good-one").status == 200
