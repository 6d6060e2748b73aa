"""One installation of Soma for tests: its own store, workloads server, key ring, node and administrator, all below one folder.

The programs come from the folder SOMA_BUILD, PostgreSQL's from SOMA_PG_BIN; `./dev test` sets both. Everything listens on 127.0.0.1 on free
ports, and stop() ends what was started, by id."""
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PG_BIN = pathlib.Path(os.environ.get("SOMA_PG_BIN", "/usr/lib/postgresql/15/bin"))
BUILD = pathlib.Path(os.environ.get("SOMA_BUILD", CHECKOUT / "build/release"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, seconds, check, pause=0.05):
    """Returns check()'s first true value; fails with `what` when it does not come in time."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


class Postgres:
    """A private server; root starts it as an unprivileged user of a user namespace, as `./dev` does."""

    def __init__(self, folder, hba, settings=()):
        self.folder, self.port, self.password = pathlib.Path(folder), free_port(), secrets.token_urlsafe(16)
        self.folder.mkdir(mode=0o700)
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o600)
        self.data = self.folder / "data"
        self.run("initdb", "-U", "soma_admin", "-D", self.data, "-A", "scram-sha-256", f"--pwfile={password_file}", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        (self.data / "pg_hba.conf").write_text("\n".join(hba) + "\n")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as f:
            f.write("\n".join([f"port = {self.port}", "listen_addresses = '127.0.0.1'", "unix_socket_directories = ''", "fsync = off", "max_connections = 200",
                               "shared_buffers = 32MB", "log_min_error_statement = panic", *settings]) + "\n")
        self.start()

    def run(self, program, *arguments):
        command = [PG_BIN / program, *arguments]
        if os.geteuid() == 0:
            command = ["unshare", "--user", "--map-user=1", "--map-group=1", *command]  # an id that every Debian has in passwd
        subprocess.run([str(c) for c in command], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)

    def start(self):
        self.run("pg_ctl", "-D", self.data, "-l", self.folder / "server.log", "-w", "start")

    def stop(self, mode="fast"):
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def conninfo(self, database="postgres", user="soma_admin", password=None):
        return f"host=127.0.0.1 port={self.port} dbname={database} user={user} password={password or self.password}"

    def sql(self, statement, database="postgres"):
        """Rows as lists of text; fails with psql's words."""
        done = subprocess.run(["psql", self.conninfo(database), "-XAtq", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-c", statement], check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return [line.split("\x1f") for line in done.stdout.splitlines()]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:600]!r}"


class Platform:
    def __init__(self, **config):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="soma."))
        self.config = config
        self.nodes = []
        self.tokens = {}
        self.store = Postgres(self.folder / "store", ["host all all 127.0.0.1/32 scram-sha-256"])
        self.workloads = Postgres(self.folder / "workloads", ["host all soma_admin,soma_provisioner,soma_monitor 127.0.0.1/32 scram-sha-256",
                                                              "host sameuser all 127.0.0.1/32 scram-sha-256"])
        self.secrets = {name: secrets.token_urlsafe(18) for name in ("owner", "app", "provisioner", "monitor", "admin")}
        self.store.sql(f"create role soma_owner login password '{self.secrets['owner']}'")
        self.store.sql(f"create role soma_app login password '{self.secrets['app']}'")
        self.store.sql("create database soma owner soma_owner")
        self.workloads.sql(f"create role soma_provisioner login createdb createrole in role pg_signal_backend password '{self.secrets['provisioner']}'")
        self.workloads.sql(f"create role soma_monitor login password '{self.secrets['monitor']}' in role pg_monitor")
        self.keyring = self.folder / "keyring"
        self.somad("keys", "init", "--key-file", str(self.keyring))
        self.somad("migrate", env={"SOMA_MIGRATE_DATABASE": self.store.conninfo("soma", "soma_owner", self.secrets["owner"])})

    # -- programs --

    def environment(self, extra=None):
        keep = {k: v for k, v in os.environ.items() if not k.startswith("SOMA_") and k not in ("http_proxy", "HTTP_PROXY")}
        keep.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:log_path=" + str(self.folder / "sanitizer"))
        keep.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:log_path=" + str(self.folder / "sanitizer"))
        return {**keep, **(extra or {})}

    def somad(self, *arguments, env=None, check=True):
        done = subprocess.run([BUILD / "somad", *arguments], check=False, capture_output=True, text=True, env=self.environment(env), stdin=subprocess.DEVNULL, timeout=120)
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def start(self, name="node", **config):
        node = Node(self, name, {**self.config, **config})
        self.nodes.append(node)
        node.start()
        return node

    def bootstrap(self):
        """The first administrator; its token is used by api() and cli() unless another is given."""
        password, token = self.folder / "admin-password", self.folder / "admin-token"
        for path, text in ((password, self.secrets["admin"]),):
            path.write_text(text)
            path.chmod(0o600)
        self.somad("bootstrap", "--config", str(self.nodes[0].conf), "--admin", "admin", "--password-file", str(password), "--token-file", str(token))
        self.tokens["admin"] = token.read_text().strip()

    @property
    def url(self):
        return self.nodes[0].url

    def api(self, method, path, body=None, token="admin", headers=None, url=None, timeout=60, raw=None):
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request((url or self.url) + path, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {self.tokens.get(token, token)}")
        for key, value in (headers or {}).items():
            request.add_header(key, value)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            return Answer(answer.code, answer.headers, answer.read())

    def cli(self, *arguments, token="admin", check=True, timeout=300, stdin=None):
        env = self.environment({"SOMA_URL": self.url, "HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / "config")})
        if token:
            env["SOMA_TOKEN"] = self.tokens.get(token, token)
        done = subprocess.run([BUILD / "soma", *arguments], check=False, capture_output=True, text=True, env=env, timeout=timeout, input=stdin, **({} if stdin is not None else {}))
        if check:
            assert done.returncode == 0, f"soma {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    # -- content --

    def fill(self, templates=None):
        """Team payments, environment local on the workloads server, the built-in golden paths."""
        self.must(201, "POST", "/api/v1/teams", {"name": "payments", "title": "Payments", "cost_centre": "cc-7"})
        self.must(201, "POST", "/api/v1/environments", {
            "name": "local", "title": "This machine", "teams": ["payments"],
            "settings": {"postgres_host": "127.0.0.1", "postgres_port": str(self.workloads.port)},
            "credentials": {"PGUSER": "soma_provisioner", "PGPASSWORD": self.secrets["provisioner"]}})
        self.add_templates("builtin", templates or CHECKOUT / "templates")

    def add_templates(self, name, folder):
        repository = self.folder / f"{name}.git-work"
        shutil.copytree(folder, repository, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
        git(repository, "init", "-q", "-b", "main")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", "golden paths")
        self.cli("templates", "add", name, f"file://{repository}", "--wait", check=False)
        return repository

    def must(self, status, *arguments, **options):
        answer = self.api(*arguments, **options)
        assert answer.status == status, answer
        return answer

    def person(self, name, *roles):
        """A person with roles ("developer@payments", "viewer" globally) and a token under that name."""
        self.must(201, "POST", "/api/v1/people", {"name": name, "password": f"a long password of {name}"})
        for role in roles:
            role, _, team = role.partition("@")
            self.must(201, "POST", "/api/v1/roles/bindings", {"account": name, "role": role, "team": team or None})
        done = self.cli("login", "--url", self.url, "--name", name, "--password-stdin", token=None, stdin=f"a long password of {name}\n")
        assert done.returncode == 0
        self.tokens[name] = json.loads((self.folder / "config/soma/config.json").read_text())["token"]
        (self.folder / "config/soma/config.json").unlink()

    def order(self, name, template="postgres-database", token="admin", wait=True, key=None, seconds=120, **body):
        body = {"kind": "create", "name": name, "template": template, "environment": "local", "team": "payments", "parameters": {"size": "small"}, **body}
        answer = self.must(202, "POST", "/api/v1/orders", body, token=token, headers={"Idempotency-Key": key or secrets.token_hex(8)})
        return self.wait_order(answer.json["id"], seconds=seconds) if wait else answer.json

    def destroy(self, name, token="admin", wait=True, seconds=120):
        answer = self.must(202, "POST", "/api/v1/orders", {"kind": "destroy", "name": name}, token=token, headers={"Idempotency-Key": secrets.token_hex(8)})
        return self.wait_order(answer.json["id"], seconds=seconds) if wait else answer.json

    def get_order(self, order_id):
        return self.must(200, "GET", f"/api/v1/orders/{order_id}").json

    def wait_order(self, order_id, states=("ready", "failed", "canceled", "awaiting_approval"), seconds=120):
        def look():
            answer = self.api("GET", f"/api/v1/orders/{order_id}")
            return answer.json if answer.status == 200 and answer.json["state"] in states else None
        try:
            return wait_for(f"order {order_id} in {states}", seconds, look, 0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.api('GET', f'/api/v1/orders/{order_id}')}\n{self.queue()}\n{self.nodes[0].log.read_text()[-3000:]}") from None

    def queue(self):
        """What the queue holds, for messages."""
        return "\n".join(f"{table}: {self.store.sql(f'select to_jsonb(t) from soma.{table} t', 'soma')}" for table in ("job", "job_ready", "job_lease"))

    def events(self, order_id):
        items, cursor = [], ""
        while True:
            page = self.must(200, "GET", f"/api/v1/orders/{order_id}/events?format=json&limit=500&cursor={cursor}").json
            items += page["items"]
            if len(page["items"]) < 500:
                return items
            cursor = page["cursor"]

    # -- end --

    def stop(self):
        for node in self.nodes:
            node.stop()
        for server in (self.store, self.workloads):
            server.stop("immediate")
        reports = [p.read_text(errors="replace") for p in self.folder.glob("sanitizer*")]
        logs = "".join(p.read_text(errors="replace") for p in self.folder.glob("*.log"))
        left = self.left_after(10)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not reports, "a sanitizer spoke:\n" + "\n".join(reports)[:6000]
        assert not re.search(r"called on the wrong kind of thread|out of memory", logs), "a defect stands in the log"
        assert not left, f"processes are left: {left}"

    def left_after(self, seconds):
        """What is still there when it has had time to end: command lines by id."""
        end = time.monotonic() + seconds
        while self.processes() and time.monotonic() < end:
            time.sleep(0.1)
        found = {}
        for pid in self.processes():
            try:
                found[pid] = open(f"/proc/{pid}/cmdline", "rb").read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
        return found

    def processes(self):
        """Ids of processes whose command line or working folder lies below ours."""
        found, mark = [], str(self.folder).encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                seen = open(f"/proc/{pid}/cmdline", "rb").read() + os.readlink(f"/proc/{pid}/cwd").encode()
            except OSError:
                continue
            if mark in seen and int(pid) != os.getpid():
                found.append(int(pid))
        return found


class Node:
    def __init__(self, platform, name, config):
        self.platform, self.name = platform, name
        self.port, self.metrics_port = free_port(), free_port()
        self.conf = platform.folder / f"{name}.conf"
        self.log = platform.folder / f"{name}.log"
        self.process = None
        values = {
            "listen": f"127.0.0.1:{self.port}", "metrics_listen": f"127.0.0.1:{self.metrics_port}", "public_url": self.url, "node_name": name,
            "database": platform.store.conninfo("soma", "soma_app", platform.secrets["app"]), "data_dir": str(platform.folder / name),
            "key_file": str(platform.keyring), "engine": os.environ.get("SOMA_TOFU") or os.environ.get("SOMA_TERRAFORM") or "terraform",
            "provider_mirror": os.environ.get("SOMA_PROVIDER_MIRROR", str(CHECKOUT / ".cache/providers")), **config}
        self.conf.write_text("".join(f"{k} = {v}\n" for k, v in values.items()))
        self.conf.chmod(0o600)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, *roles):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BUILD / "somad", *roles, "--config", str(self.conf)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.platform.environment(), start_new_session=True)
        try:
            wait_for(f"{self.name} is ready", 60, self.ready)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.log.read_text()[-3000:]}") from None

    def ready(self):
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            return self.platform.api("GET", "/ready", token=None, url=self.url, timeout=5).status == 200
        except OSError:
            return False

    def role_pid(self, role):
        """The process of a role: the parent's child whose first argument it is; None when there is none now."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                parent = int(open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()[1])
                arguments = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and len(arguments) > 1 and arguments[1] == role.encode():
                return int(pid)
        return None

    def kill(self, *roles):
        for role in roles:
            pid = self.role_pid(role)
            if pid:
                os.kill(pid, signal.SIGKILL)

    def stop(self, seconds=90):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise AssertionError(f"{self.name} did not stop within {seconds} s") from None


def git(folder, *arguments):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@localhost",
           "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@localhost"}
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL, timeout=120).stdout.strip()
