"""Serves git repositories over HTTP for tests, through git's own http-backend: serve.py FOLDER plain|auth|tls|silent|endless. Prints its port."""
import base64
import http.server
import os
import socket
import ssl
import subprocess
import sys
import time

folder, mode = sys.argv[1:]
expected = "Basic " + base64.b64encode("soma:pa55 wörd".encode()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def endless(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.end_headers()
        self.wfile.write(b"001e# service=git-upload-pack\n0000")
        first = b"1" * 40 + b" HEAD\0multi_ack ofs-delta\n"
        self.wfile.write(b"%04x" % (len(first) + 4) + first)
        number = 0
        while True:
            line = b"1" * 40 + b" refs/heads/%09d\n" % number
            try:
                self.wfile.write(b"%04x" % (len(line) + 4) + line)
            except ConnectionError:
                return
            number += 1

    def serve(self):
        if mode == "silent":
            time.sleep(600)
        if mode == "endless":
            return self.endless()
        if mode == "auth" and self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return None
        path, _, query = self.path.partition("?")
        environment = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": folder, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                       "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "GIT_CONFIG_COUNT": "1",
                       "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while True:
                size = int(self.rfile.readline(), 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    break
        answer = subprocess.run(["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE, check=False).stdout
        head, _, rest = answer.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((int(value.split()[0]) for name, value in lines if name == "Status"), 200)
        self.send_response(status)
        for name, value in lines:
            if name != "Status":
                self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(rest)
        except ConnectionError:
            pass  # the client had enough
        return None

    do_GET = do_POST = serve


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if mode == "tls":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
assert isinstance(server.socket, socket.socket)
server.serve_forever()
