"""A stand-in for the hub: data sets and models at a revision, over real sockets."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """The part of the hub's protocol that downloads a data set, or a model, at a revision."""

    def __init__(self, repo: str, files: dict[str, bytes], kind: str = "datasets") -> None:
        self.paths: list[str] = []
        fake = self
        api, stored = f"/api/{kind}/{repo}", f"/{repo}" if kind == "models" else f"/{kind}/{repo}"

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args) -> None:
                pass

            def do_HEAD(self) -> None:
                self.respond(body=False)

            def do_GET(self) -> None:
                self.respond(body=True)

            def respond(self, body: bool) -> None:
                path = self.path.split("?")[0]
                fake.paths.append(f"{self.command} {path}")
                headers, data = {}, b""
                if path == f"{api}/tree/{COMMIT}":
                    listed = [
                        {"type": "file", "path": name, "size": len(text), "oid": "0" * 40}
                        for name, text in files.items()
                    ]
                    data, status = json.dumps(listed).encode(), 200
                elif path in (f"{api}/revision/v1", f"{api}/revision/{COMMIT}"):
                    names = [{"rfilename": name} for name in files]
                    data = json.dumps({"id": repo, "sha": COMMIT, "siblings": names}).encode()
                    status = 200
                elif (name := path.removeprefix(f"{stored}/resolve/{COMMIT}/")) in files:
                    data, status = files[name], 200
                    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hash(data) & 0xFFFFFFFF:040x}"'}
                else:
                    status, headers = 404, {"X-Error-Code": "RevisionNotFound"}
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if body:
                    self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FakeHub:
        self.thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.server.shutdown()
        self.server.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """Of a process that downloads from here. The library reads the address when it is
        imported."""
        told = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        return {**os.environ, **told}
