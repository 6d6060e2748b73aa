"""The API document against the running node: generated requests meet no 5xx and no answer that the document does not describe."""
import os
import subprocess
import sys

from support.platform import CHECKOUT


def test_generated_requests_meet_the_document(own_soma, tmp_path):
    soma = own_soma(requests_per_minute=0, sign_ins_per_minute=100000)
    done = subprocess.run([sys.executable, os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", str(CHECKOUT / "tests/support/schemathesis.toml"), "run",
                           f"{soma.url}/api/openapi.json", "--url", soma.url, "--header", f"Authorization: Bearer {soma.tokens['admin']}",
                           "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance", "--max-examples", "15",
                           "--exclude-path-regex", "/events$", "--request-timeout", "20", "--workers", "1", "--seed", "4"],
                          check=False, capture_output=True, text=True, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_every_operation_answers_the_unsigned(soma):
    """Nothing but what says so in the document answers somebody who is not signed in."""
    document = soma.must(200, "GET", "/api/openapi.json", token=None).json
    assert document["openapi"].startswith("3.1")
    open_to_all = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method not in ("get", "post", "put", "patch", "delete") or operation.get("security") == []:
                continue
            concrete = path.replace("{id}", "0198c1f2-7c1e-7b1a-9d7e-3f6f0b7f2a11").replace("{name}", "nothing")
            answer = soma.api(method.upper(), concrete, {} if method in ("post", "put", "patch") else None, token=None, headers={"Idempotency-Key": "x"})
            if answer.status not in (401, 404, 405):
                open_to_all.append((method, path, answer.status))
    assert not open_to_all


def test_the_reference_is_readable(soma):
    page = soma.must(200, "GET", "/api/docs", token=None)
    assert page.headers["Content-Type"].startswith("text/html") and "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert b"createOrder" in page.body and b"<script" not in page.body


def test_the_page_of_needs_is_what_the_document_says(soma):
    """docs/api.md lists for each operation who may call it; the node holds the document against its routes."""
    document = soma.must(200, "GET", "/api/openapi.json", token=None).json
    rows = [f"| `{method.upper()} {path}` | {item[method]['x-need']} |" for path, item in document["paths"].items() for method in ("get", "post", "put", "patch", "delete") if method in item]
    assert (CHECKOUT / "docs/api.md").read_text().endswith("\n|---|---|\n" + "\n".join(rows) + "\n"), "\n".join(rows)
