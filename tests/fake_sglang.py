"""A stand-in for an SGLang server on loopback: real sockets, scripted misbehaviour.

It speaks the part of SGLang's protocol that this pipeline uses, and says nothing sensible: the
answer to each request is the next of `behaviours` (the last one repeats).
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    request_queue_size = 512  # of 5 all others would be asked for again after seconds


class FakeSGLang:
    """Behaviours: a list of token ids (answered with log prob -0.25 each), or one of the words
    "500", "429", "400", "drop", "half", "abort", "nonsense", "no_logprobs", or ("slow", seconds).
    """

    def __init__(
        self,
        behaviours: Iterable,
        model_path: str = "stand-in",
        warm_up: int = 0,
        keep_alive: bool = False,
    ) -> None:
        """warm_up: how many signs of life are a 503. keep_alive: connections serve many requests,
        as SGLang's do."""
        self.behaviours = list(behaviours)
        self.warm_up = warm_up
        self.info: dict = {}  # what else it says of itself
        self.requests: list[dict] = []
        self.headers: list[dict] = []
        self.lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

            def log_message(self, *args) -> None:
                pass

            def do_GET(self) -> None:
                fake.warm_up -= 1
                self.answer(
                    503 if fake.warm_up >= 0 else 200,
                    {"model_path": model_path, "version": "stand-in", **fake.info},
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fake.respond(self, json.loads(body), dict(self.headers))

            def answer(self, status: int, value) -> None:
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # nobody waits for it any more
                    self.wfile.write(body)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FakeSGLang:
        self.thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.server.shutdown()
        self.server.server_close()

    def respond(self, handler, request: dict, headers: dict) -> None:
        with self.lock:
            behaviour = self.behaviours[min(len(self.requests), len(self.behaviours) - 1)]
            self.requests.append(request)
            self.headers.append(headers)
        if isinstance(behaviour, tuple):
            time.sleep(behaviour[1])
            behaviour = [1, 2]
        if isinstance(behaviour, list):
            handler.answer(200, self.generated(request, behaviour))
        elif behaviour in ("500", "429", "400"):
            handler.answer(int(behaviour), {"error": {"message": f"scripted {behaviour}"}})
        elif behaviour == "drop":
            handler.connection.shutdown(socket.SHUT_RDWR)
        elif behaviour == "half":
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b'{"text": "')
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
        elif behaviour == "nonsense":
            handler.answer(200, b"<html>proxy error</html>")
        elif behaviour == "no_logprobs":
            handler.answer(200, {"text": "", "meta_info": {"finish_reason": {"type": "stop"}}})
        elif behaviour == "abort":
            answer = self.generated(request, [])
            answer["meta_info"]["finish_reason"] = {"type": "abort", "message": "scripted"}
            handler.answer(200, answer)
        else:
            raise ValueError(behaviour)

    @staticmethod
    def generated(request: dict, ids: list[int]) -> dict:
        limit = request["sampling_params"]["max_new_tokens"]
        reason = "length" if len(ids) > limit else "stop"
        ids = ids[:limit]
        return {
            "text": "",
            "output_ids": ids,
            "meta_info": {
                "finish_reason": {"type": reason},
                "output_token_logprobs": [[-0.25, i, None] for i in ids],
                "prompt_tokens": len(request["input_ids"]),
                "completion_tokens": len(ids),
            },
        }
