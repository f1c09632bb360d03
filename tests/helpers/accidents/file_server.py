"""A server on this machine that serves one file, as a web server does and as Hugging Face's hub does."""

from __future__ import annotations

import hashlib
import http.server
import json


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` as ``/model.zip``, and a repository ``me/brain`` as Hugging Face's hub does.

    Attributes:
        breaks_after: Number of bytes after which an answer ends; None sends all.
        ranges: The ``Range`` header of each request.
    """

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.breaks_after: int | None = None
        self.files = ["README.md", "model.zip"]
        self.ranges: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body: bool = True):
        path = self.path.split("?")[0]
        if path.startswith("/api/models/me/brain"):
            siblings = [{"rfilename": name} for name in self.server.files]
            tree = [{"type": "file", "path": name, "size": 1, "oid": "0" * 40} for name in self.server.files]
            entry = tree if "/tree/" in path else {"id": "me/brain", "sha": "1" * 40, "siblings": siblings}
            return self.send(json.dumps(entry).encode(), {"Content-Type": "application/json"}, body)
        if path.endswith("/model.zip"):
            return self.send(self.server.content, {"X-Repo-Commit": "1" * 40}, body)
        self.send_error(404)

    def send(self, content: bytes, headers: dict[str, str], body: bool) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        begin = 0
        if wanted and self.headers.get("If-Range", tag) == tag:
            begin = int(wanted.removeprefix("bytes=").rstrip("-").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        for name, value in {"ETag": tag, "Content-Length": str(len(content) - begin), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content[begin:][: self.server.breaks_after])
