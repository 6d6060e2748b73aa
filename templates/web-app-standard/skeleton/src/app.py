"""${title}: a page, and /health for whoever watches. Python's own library is all that it needs; put your framework in its place."""
import http.server
import json
import os

SERVICE = "${service}"
SETTINGS = {
    "database": os.environ.get("DATABASE_URL", ""),
    "bucket": os.environ.get("BUCKET", "${bucket}"),
    "region": os.environ.get("AWS_REGION", "${region}"),
}


def answer(path):
    """Status, type and body for a path."""
    if path == "/health":
        return 200, "application/json", json.dumps({"service": SERVICE, "database": bool(SETTINGS["database"])})
    if path == "/":
        return 200, "text/html; charset=utf-8", "<!doctype html><title>${title}</title><h1>${title}</h1>"
    return 404, "text/plain", "not here"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, kind, body = answer(self.path.split("?")[0])
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
