"""What the architecture promises about the source: floors, seams, embedded queries."""
import re

from support.platform import CHECKOUT

PORTAL = CHECKOUT / "portal"


def floors():
    text = (CHECKOUT / "docs/architecture.md").read_text()
    block = re.search(r"```floors\n(.*?)```", text, re.S).group(1)
    return {domain: floor for floor, line in enumerate(block.strip().splitlines()) for domain in line.split()}


def test_no_domain_includes_a_higher_floor():
    floor, wrong = floors(), []
    assert set(floor) == {p.name for p in PORTAL.iterdir() if p.is_dir()} - {"cli"}, "the list in docs/architecture.md names every domain"
    for source in PORTAL.glob("*/*.[ch]"):
        mine = source.parent.name
        for other in re.findall(r'#include "portal/([a-z]+)/', source.read_text()):
            if mine == "cli":
                wrong += [] if other in ("cli", "core", "json", "policy", "templates") else [(source.name, other)]
            elif floor[other] > floor[mine]:
                wrong.append((f"{mine}/{source.name}", other))
    assert not wrong


def test_each_library_has_one_seam():
    seams = {"libpq-fe.h": "db", "civetweb.h": "http", "uv.h": "loop", "git2.h": "git", "lua.h": "policy", "dlfcn.h": "plugins", "yaml.h": "json", "pcre2.h": "json",
             "argon2.h": "crypto", "curl/curl.h": "cli notify"}
    wrong = []
    for source in PORTAL.glob("**/*.[ch]"):
        for header in re.findall(r"#include <([^>]+)>", source.read_text()):
            domain = source.relative_to(PORTAL).parts[0]
            if header in seams and domain not in seams[header].split():
                wrong.append((str(source.relative_to(PORTAL)), header))
            if header.startswith("mbedtls/") and domain != "crypto":
                wrong.append((str(source.relative_to(PORTAL)), header))
    assert not wrong


def test_the_configuration_page_is_what_the_program_says(soma):
    page = (CHECKOUT / "docs/configuration.md").read_text()
    assert page.endswith(soma.somad("config", "markdown").stdout), "run `somad config markdown` and put its table at the end of docs/configuration.md"


def test_each_type_of_problem_has_a_title():
    """The one table of titles knows every slug that the source names, and docs/api.md is that table."""
    table = re.findall(r'^    \{"([a-z-]+)", "([^"]+)"\},$', (PORTAL / "http/problem.c").read_text(), re.M)
    slugs = [slug for slug, _ in table]
    assert slugs == sorted(set(slugs)) and len(slugs) > 30
    used = set()
    for source in PORTAL.glob("**/*.c"):
        if not source.name.endswith("_test.c") and source.parent.name != "cli":
            text = source.read_text()
            used |= set(re.findall(r'err_type\(\w+, "([a-z-]+)"\)', text)) | set(re.findall(r'reply_refuse\([^"]*?"([a-z-]+)"', text)) | set(re.findall(r': return "([a-z-]+)"', text) if source.name == "err.c" else [])
    assert used <= set(slugs), used - set(slugs)
    page = (CHECKOUT / "docs/api.md").read_text()
    assert re.findall(r"^\| `/problems/([a-z-]+)` \| (.*) \|$", page, re.M) == table


def test_every_query_prepares(soma):
    """Each embedded query is parsed and planned by the real schema, as the node's own role."""
    import subprocess
    broken = []
    for path in PORTAL.glob("*/queries/*.sql"):
        for name, sql in re.findall(r"-- name: (\w+)\n(.*?)(?=\n-- name: |\Z)", path.read_text(), re.S):
            body = "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--")).strip().rstrip(";")
            done = subprocess.run(["psql", soma.store.conninfo("soma", "soma_app", soma.secrets["app"]), "-XAtq", "-v", "ON_ERROR_STOP=1"], check=False, capture_output=True,
                                  text=True, input=f"set search_path = soma, public; prepare q as {body};\n")
            if done.returncode:
                broken.append((str(path.relative_to(PORTAL)), name, done.stderr.strip()[:300]))
    assert not broken
