"""A git host for tests: the bare repositories below a folder, over HTTP through git's own backend. It can be asked to keep an answer back."""
import base64
import http.server
import os
import subprocess
import threading


class GitHost:
    def __init__(self, folder, user=None, password=None):
        self.folder, self.user, self.password = folder, user, password
        self.hold, self.held = threading.Event(), threading.Event()   # hold: a push is done, and its answer does not come
        self.pushes = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def make(self, name):
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.folder / name], check=True, timeout=60)
        subprocess.run(["git", "-C", self.folder / name, "config", "http.receivepack", "true"], check=True, timeout=60)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def handler(host):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.backend(b"")

            def do_POST(self):
                self.backend(self.body())

            def body(self):
                if self.headers.get("Transfer-Encoding", "") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = []
                while True:
                    size = int(self.rfile.readline(), 16)
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                    if size == 0:
                        return b"".join(parts)

            def backend(self, body):
                expected = "Basic " + base64.b64encode(f"{host.user}:{host.password}".encode()).decode()
                if host.user and self.headers.get("Authorization") != expected:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", "Basic realm=git")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                path, _, query = self.path.partition("?")
                environment = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(host.folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                               "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_USER": host.user or "", "GIT_CONFIG_NOSYSTEM": "1"}
                answer = subprocess.run(["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=60).stdout
                if self.command == "POST" and path.endswith("git-receive-pack"):
                    host.pushes += 1
                    if host.hold.is_set():
                        host.held.set()
                        while host.hold.is_set():
                            threading.Event().wait(0.1)
                head, _, rest = answer.partition(b"\r\n\r\n")
                lines = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
                self.send_response(next((int(value.split()[0]) for name, value in lines if name == "Status"), 200))
                for name, value in lines:
                    if name not in ("Status", "Content-Length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(rest)))
                self.end_headers()
                try:
                    self.wfile.write(rest)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        return Handler
