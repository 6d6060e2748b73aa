"""The one script as a newcomer uses it: up, again, two copies side by side, and nothing left after down."""
import os
import subprocess
import time
import urllib.request

import pytest

from support.platform import CHECKOUT, free_port


class Copy:
    def __init__(self, folder):
        self.data, self.port = folder / "data folder", free_port()  # a blank in the path, as people have them

    def dev(self, *arguments, check=True, timeout=900):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SOMA_") or k == "SOMA_ENGINE"}
        done = subprocess.run([CHECKOUT / "dev", arguments[0], "--port", str(self.port), "--data", str(self.data), *arguments[1:]] if arguments[0] != "soma" else
                              [CHECKOUT / "dev", "--port", str(self.port), "--data", str(self.data), *arguments],
                              check=False, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL, timeout=timeout)
        if check:
            assert done.returncode == 0, f"./dev {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def left(self):
        mark, found = str(self.data).encode(), []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                seen = open(f"/proc/{pid}/cmdline", "rb").read() + open(f"/proc/{pid}/environ", "rb").read() + os.readlink(f"/proc/{pid}/cwd").encode()
            except OSError:
                continue
            if mark in seen:
                found.append(int(pid))
        return found


@pytest.fixture
def copies(tmp_path):
    made = [Copy(tmp_path / name) for name in ("one", "two")]
    yield made
    for copy in made:
        copy.dev("down", check=False)


def test_two_copies_come_up_and_go_without_a_trace(copies):
    one, two = copies
    shown = one.dev("up", "--no-demo").stdout
    assert f"http://127.0.0.1:{one.port}" in shown and "admin" in shown
    password = (one.data / "secrets/admin-password").read_text().strip()
    assert password not in shown, "the first password is shown to a terminal alone"
    assert (one.data / "secrets/admin-password").stat().st_mode & 0o777 == 0o600
    two.dev("up", "--no-demo")
    for copy in copies:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{copy.port}/ready", timeout=10) as answer:
            assert answer.status == 200
    assert "postgres-database" in one.dev("soma", "templates", "list").stdout
    began = time.monotonic()
    one.dev("up", "--no-demo")
    assert time.monotonic() - began < 60
    one.dev("status")
    one.dev("down")
    assert one.left() == []
    assert two.dev("soma", "whoami").returncode == 0, "the other copy goes on"
    two.dev("down")
    assert two.left() == []
    one.dev("reset", "--yes")
    assert not one.data.exists()


def test_a_wrong_word_is_told(copies):
    done = copies[0].dev("upp", check=False)
    assert done.returncode != 0 and "upp" in done.stdout + done.stderr


def test_a_taken_port_is_told(copies):
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", copies[0].port))
        s.listen()
        done = copies[0].dev("up", "--no-demo", check=False)
        assert done.returncode != 0 and str(copies[0].port) in done.stdout + done.stderr and "--port" in done.stdout + done.stderr


def test_down_leaves_a_neighbour_alone_whose_folder_begins_with_its_name(tmp_path):
    """What stands in "data folder" is no process of the copy in "data"."""
    own, neighbour = tmp_path / "data", tmp_path / "data folder"
    processes = []
    for folder in (own, neighbour):
        (folder / "logs").mkdir(parents=True)
        processes.append(subprocess.Popen(["sleep", "60"], cwd=folder / "logs"))
    try:
        script = f'source "{CHECKOUT}/tools/dev/common.sh"; processes_naming "$1"'
        seen = subprocess.run(["setsid", "bash", "-c", script, "-", own], check=True, capture_output=True, text=True).stdout
        assert [int(line.split()[0]) for line in seen.splitlines()] == [processes[0].pid]
    finally:
        for process in processes:
            process.kill()
            process.wait()
