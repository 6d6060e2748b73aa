"""The command line as people and scripts use it: sign-in, words and exit statuses, the stream through restarts, terminals."""
import json
import os
import pty
import select
import signal
import stat
import subprocess
import termios
import threading
import time

import pytest
import yaml

from support.platform import BUILD, wait_for

ORDER = ("--template", "postgres-database", "--environment", "local", "--team", "payments")


@pytest.fixture(scope="module")
def cli(soma):
    """soma() of an administrator; the environment `cli-guarded` asks for approval."""
    soma.cli("environments", "create", "cli-guarded", "--title", "Guarded", "--approval", "yes", "--setting", "postgres_host=127.0.0.1",
             "--setting", f"postgres_port={soma.workloads.port}", "--credential", "PGUSER=soma_provisioner", "--credential-stdin", "PGPASSWORD",
             stdin=soma.secrets["provisioner"] + "\n")
    return soma.cli


@pytest.fixture(scope="module")
def database(soma, cli):
    done = cli("order", "cli-db", *ORDER, "--set", "size=small", "--watch")
    assert "\x1b" not in done.stderr + done.stdout, "colour without a terminal"
    assert "applying" in done.stderr and "cli-db is ready" in done.stderr
    return "cli-db"


def failed(done, status, *words):
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    for word in words:
        assert word in done.stderr, (word, done.stderr)


def on_terminal(soma, arguments, answers=(), env=None, timeout=60):
    """Runs soma on a terminal. `answers`: (text to wait for, bytes to type or a signal). Returns status, screen text, whether the terminal echoes at the end."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(BUILD / "soma", ["soma", *arguments], {**soma.environment({"SOMA_URL": soma.url, "TERM": "xterm", "XDG_CONFIG_HOME": str(soma.folder / "terminal")}), **(env or {})})
    text, mark, todo, end = b"", 0, list(answers), time.monotonic() + timeout
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                got = os.read(fd, 65536)
            except OSError:
                break
            if not got:
                break
            text += got
        if todo and todo[0][0].encode() in text[mark:]:
            answer, mark = todo.pop(0)[1], len(text)
            time.sleep(0.1)
            os.write(fd, answer) if isinstance(answer, bytes) else os.kill(pid, answer)
    echoes = bool(termios.tcgetattr(fd)[3] & termios.ECHO)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return status, text.decode(errors="replace"), echoes


def test_login_keeps_a_token_that_logout_revokes(soma, cli):
    soma.must(201, "POST", "/api/v1/people", {"name": "cleo", "password": "a long password of cleo"})
    home = soma.folder / "login"
    env = soma.environment({"XDG_CONFIG_HOME": str(home)})

    def run(*arguments, stdin=""):
        return subprocess.run([BUILD / "soma", *arguments], check=False, capture_output=True, text=True, env=env, input=stdin, timeout=60)

    failed(run("whoami", "--url", soma.url), 5, "soma login")
    failed(run("login", "--url", soma.url, "--name", "cleo", "--password-stdin", stdin="wrong\n"), 5, "does not know")
    assert not (home / "soma/config.json").exists()
    assert run("login", "--url", soma.url + "/", "--name", "cleo", "--password-stdin", stdin="a long password of cleo\n").returncode == 0
    path = home / "soma/config.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    token = json.loads(path.read_text())["token"]
    done = run("whoami", "-o", "json")
    assert json.loads(done.stdout)["account"]["name"] == "cleo", done
    failed(run("whoami", "--url", f"http://localhost:{soma.nodes[0].port}"), 5)  # a token is not sent to another address
    assert run("logout").returncode == 0
    assert soma.api("GET", "/api/v1/session", token=token).status == 401
    assert token not in path.read_text()


def test_outputs_are_flat_and_closed_unless_revealed(cli, database):
    done = cli("services", "outputs", database, "-o", "json")
    closed = json.loads(done.stdout)
    assert closed["password"] is None and closed["url"] is None and isinstance(closed["port"], int) and "--reveal" in done.stderr
    revealed = json.loads(cli("services", "outputs", database, "--reveal", "-o", "json").stdout)
    assert revealed["url"].startswith("postgresql://") and revealed["password"] in revealed["url"]
    assert yaml.safe_load(cli("services", "outputs", database, "--reveal", "-o", "yaml").stdout) == revealed
    assert revealed["password"] not in cli("services", "outputs", database).stdout
    assert "secret.reveal" in [e["action"] for e in json.loads(cli("audit", "list", "-o", "json", "--limit", "5").stdout)["items"]]


def test_lists_for_programs(cli, database):
    items = json.loads(cli("services", "list", "-o", "json").stdout)["items"]
    mine = [s for s in items if s["name"] == database][0]
    assert {"name", "state", "template", "environment", "team", "owner"} <= mine.keys() and mine["state"] == "ready"
    assert cli("services", "-o", "json").stdout == cli("services", "list", "-o", "json").stdout
    first = json.loads(cli("audit", "list", "-o", "json", "--limit", "2").stdout)
    assert len(first["items"]) == 2 and first["next"]
    for noun in ("people", "teams", "roles", "tokens", "environments", "templates", "orders", "nodes", "jobs", "service-accounts"):
        document = json.loads(cli(noun, "list", "-o", "json").stdout)
        assert isinstance(document["items"], list)
        assert yaml.safe_load(cli(noun, "list", "-o", "yaml").stdout).keys() >= {"items"}
    head = cli("services", "list").stdout.splitlines()[0].split()
    assert head[:2] == ["NAME", "STATE"]


def test_connect_opens_psql_without_showing_the_password(cli, database):
    done = cli("services", "connect", database, "--", "-XAtqc", "select current_user")
    assert done.stdout == "cli-db\n"
    password = json.loads(cli("services", "outputs", database, "--reveal", "-o", "json").stdout)["password"]
    shell = cli("services", "connect", database, "--", "-XAtqc", "\\! tr '\\0' ' ' < /proc/$PPID/cmdline")
    assert "psql" in shell.stdout and password not in shell.stdout
    failed(cli("services", "connect", "no-such-db", check=False), 1, "no-such-db")


def test_refusals_name_the_field(cli, database):
    failed(cli("order", "cli-bad", *ORDER, "--set", "size=enormous", check=False), 1, "size: must be one of")
    failed(cli("order", "cli-bad", *ORDER, "--set", "colour=red", check=False), 1, "colour")
    failed(cli("order", "cli-bad", "--template", "nothing", "--environment", "local", "--team", "payments", check=False), 1, "template", "nothing")
    failed(cli("order", database, *ORDER, check=False), 1, database, "taken")
    failed(cli("order", "cli-bad", check=False), 2, "--template")
    failed(cli("order", "cli-bad", *ORDER, "--teem", "x", check=False), 2, "did you mean --team")
    failed(cli("ordr", check=False), 2, "did you mean `soma order`")
    failed(cli("destroy", database, check=False), 1, "--yes")
    away = ("--url", "http://127.0.0.1:1")  # what is wrong with the words is said before a server is asked
    failed(cli("order", "cli-bad", *ORDER, "--set", "size", *away, check=False), 2, "--set takes KEY=VALUE", "Usage: soma order NAME")
    failed(cli("order", "cli-bad", *ORDER, "--set", "=small", *away, check=False), 2, "--set takes KEY=VALUE")
    failed(cli("order", "cli-bad", *ORDER, "--set", ".x=small", *away, check=False), 2, '--set: ".x" is no name')
    failed(cli("order", "cli-bad", *ORDER, "--set-json", "size={", *away, check=False), 2, "--set-json size")
    failed(cli("order", "cli-bad", *ORDER, "--set-json", "size", *away, check=False), 2, "--set-json takes KEY=VALUE")
    failed(cli("environments", "create", "cli-bad", "--setting", "region", *away, check=False), 2, "--setting takes NAME=VALUE")
    failed(cli("tokens", "create", "cli-bad", "--expires-in", "soon", *away, check=False), 2, "--expires-in")
    failed(cli("roles", "bind", "dora", "boss", *away, check=False), 2, "boss", "no role")
    for noun in (("services", "list"), ("audit", "list"), ("orders", "logs", "x")):
        for limit in ("0", "-1"):
            failed(cli(*noun, "--limit", limit, *away, check=False), 2, f"--limit is at least 1, not {limit}")
        failed(cli(*noun, "--limit", "ten", *away, check=False), 2, '--limit takes a whole number, not "ten"')
        failed(cli(*noun, "-o", "xml", *away, check=False), 2, "--output is one of table|json|yaml")
    assert "cli-bad" not in cli("orders", "list", "-o", "json").stdout


def test_plan_applies_nothing(soma, cli):
    done = cli("order", "cli-plan", *ORDER, "--plan")
    assert "postgresql_database" in done.stdout and "to add" in done.stdout and "quota" in done.stdout
    assert soma.workloads.sql("select 1 from pg_database where datname = 'cli-plan'") == []
    assert "cli-plan" not in cli("services", "list").stdout


def test_watch_says_how_it_ended(soma, cli):
    guarded = ("--template", "postgres-database", "--environment", "cli-guarded", "--team", "payments")
    failed(cli("order", "cli-guarded-db", *guarded, "--watch", check=False), 3, "waits for an approval")
    failed(cli("orders", "watch", "cli-guarded-db", check=False), 3)
    failed(cli("orders", "approve", "cli-guarded-db", check=False), 1, "own")
    cli("cancel", "cli-guarded-db")
    failed(cli("orders", "watch", "cli-guarded-db", check=False), 4, "canceled")
    soma.person("clara", "approver@payments")
    order = cli("order", "cli-approved-db", *guarded).stdout.strip()
    watching = threading.Thread(target=lambda: results.append(cli("orders", "watch", order, "--past-approval")))
    results = []
    watching.start()
    soma.wait_order(order, ("awaiting_approval",))
    cli("orders", "approve", order, "--comment", "fine", token="clara")
    watching.join(120)
    assert results and results[0].returncode == 0 and "is ready" in results[0].stderr
    assert json.loads(cli("destroy", "cli-approved-db", "--yes", "-o", "json").stdout)["kind"] == "destroy"


def test_the_same_key_orders_once(cli):
    first = cli("order", "cli-once", *ORDER, "--idempotency-key", "cli-once-1").stdout
    assert cli("order", "cli-once", *ORDER, "--idempotency-key", "cli-once-1").stdout == first


def test_a_watch_outlives_the_server(own_soma):
    platform = own_soma()
    process = subprocess.Popen([BUILD / "soma", "order", "lives-db", *ORDER, "--watch"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=platform.environment({"SOMA_URL": platform.url, "SOMA_TOKEN": platform.tokens["admin"]}))
    wait_for("the order is on its way", 30, lambda: platform.store.sql("select 1 from soma.orders where state not in ('queued', 'checking')", "soma"))
    platform.nodes[0].kill("serve")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    lines = [line.split("  ", 1)[1] for line in err.splitlines() if line[2:3] == ":"]
    states = [line for line in lines if line in ("queued", "checking", "planning", "applying", "monitoring", "registering", "ready")]
    assert states == ["queued", "checking", "planning", "applying", "monitoring", "registering", "ready"], err


def test_on_a_terminal(soma, cli, database):
    soma.must(201, "POST", "/api/v1/people", {"name": "tess", "password": "a long password of tess"})
    status, text, echoes = on_terminal(soma, ["login"], [("Name: ", b"tess\n"), ("Password", b"a long password of tess\n")])
    assert status == 0 and echoes and "a long password" not in text, text
    status, text, echoes = on_terminal(soma, ["login", "--name", "tess"], [("Password", b"\x03")])
    assert status == 130 and echoes
    admin = {"SOMA_TOKEN": soma.tokens["admin"]}
    status, text, _ = on_terminal(soma, ["services", "list"], env=admin)
    assert "\x1b[32mready" in text
    assert "\x1b" not in on_terminal(soma, ["services", "list"], env={**admin, "NO_COLOR": "1"})[1]
    assert "\x1b" not in on_terminal(soma, ["services", "list"], env={**admin, "TERM": "dumb"})[1]
    status, text, _ = on_terminal(soma, ["destroy", database], [("go on: ", b"other-db\n")], env=admin)
    assert status == 1 and "nothing was destroyed" in text
    status, text, _ = on_terminal(soma, ["order", "cli-tty", *ORDER, "--watch"], env=admin, timeout=120)
    assert status == 0 and "\x1b[" in text and "✓" in text and "cli-tty is ready" in text
    status, text, _ = on_terminal(soma, ["destroy", "cli-tty", "--watch"], [("go on: ", b"cli-tty\n"), ("planning", signal.SIGINT)], env=admin)
    assert status == 130 and "The order goes on" in text, text


def test_nobody_there(cli):
    failed(cli("services", "list", "--url", "http://127.0.0.1:1", check=False), 6, "cannot be reached")
    failed(cli("services", "list", "--url", "nonsense", check=False), 1, "no address")
    failed(cli("services", "list", token="soma_wrong", check=False), 5)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli, shell):
    script = cli("completion", shell).stdout
    assert "__complete" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        probe = script + '\nCOMP_WORDS=(soma services o); COMP_CWORD=2; _soma; printf "%s\\n" "${COMPREPLY[@]}"\n'
        done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True, check=True, env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"})
        assert done.stdout == "outputs\n"
    assert database_names(cli) <= set(cli("__complete", "services", "show", "").stdout.replace("\t", "\n").splitlines())


def database_names(cli):
    return {s["name"] for s in json.loads(cli("services", "list", "-o", "json").stdout)["items"]}


def test_every_command_has_help(cli):
    listed = [line.split()[0] for line in cli("--help").stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
    assert {"order", "orders", "services", "templates", "destroy", "audit"} <= set(listed)
    for noun in listed:
        assert f"soma {noun}" in cli(noun, "--help").stdout
