"""A stand-in for an SGLang server: no model, but the waiting times of one, and a capacity.

It speaks the part of SGLang's protocol that the pipeline uses. A request waits for one of `slots`,
then takes `request_s` and `token_s` for each token of its answer. The n-th request of a session is
answered with the n-th turn that was recorded for the session's task, whatever the prompt is.
Prompts are received, not read: what a prefix cache costs is in `request_s`.

    with StandInServer(turns, Speed(request_s=0.05, token_s=0.01, slots=64)) as server: server.url

It runs in a process of its own, so that its work is not the client's. Left out: everything of a
server that fails (tests/fake_sglang.py), and batches, in which a token takes the longer the more
requests there are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Speed(NamedTuple):
    """Seconds a request, seconds a token, and how many requests are served at once."""

    request_s: float = 0.05
    token_s: float = 0.01
    slots: int = 64

    def turn(self, tokens: int) -> float:
        """Seconds of an answer that has not to wait for a slot."""
        return self.request_s + tokens * self.token_s


Turns = list[list[int]]


def bound(speed: Speed, episodes: list[Turns], concurrency: int) -> float:
    """Seconds below which nobody can play these episodes against this server.

    max(longest, sum / places): an episode's turns follow each other, so the longest takes
    Σ (request_s + tokens × token_s) over its turns; and all episodes together take that sum over
    all their turns, divided by the places, min(slots, concurrency).
    """
    alone = [sum(speed.turn(len(ids)) for ids in turns) for turns in episodes]
    return max(max(alone), sum(alone) / min(speed.slots, concurrency))


@dataclass
class StandInServer:
    """A server process for a `with` block. turns: task id -> the answers of an episode."""

    turns: Mapping[str, Turns]
    speed: Speed

    def __enter__(self) -> StandInServer:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "turns.json"
        path.write_text(json.dumps(dict(self.turns)), encoding="utf-8")
        command = [sys.executable, __file__, str(path), *map(str, self.speed)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")
        port = self._process.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"{__file__} did not start; what it said stands above")
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def served(self) -> dict[str, float]:
        """Requests, tokens, and CPU seconds of the server since the last question."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/served") as answer:
            return json.load(answer)


class _Connection(asyncio.Protocol):
    """One client's connection: HTTP/1.1, a request after the other."""

    def __init__(self, server: _Server) -> None:
        self.server, self.buffer, self.needed = server, bytearray(), 0

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= max(self.needed, 1):
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end])
            body = _header(head, b"content-length")
            self.needed = end + 4 + int(body or 0)
            if len(self.buffer) < self.needed:
                return
            del self.buffer[: self.needed]
            self.needed = 0
            self.server.begin(self, head)

    def answer(self, value: object) -> None:
        content = json.dumps(value).encode()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
        )
        self.transport.write(head.encode() + b"\r\n\r\n" + content)


def _header(head: bytes, name: bytes) -> str:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode()
    return ""


class _Server:
    def __init__(self, turns: dict[str, Turns], speed: Speed) -> None:
        self.turns, self.speed = turns, speed
        self.gate = asyncio.Semaphore(speed.slots)
        self.asked: Counter[str] = Counter()
        self.tasks: set[asyncio.Task] = set()
        self.requests = self.tokens = 0
        self.cpu = 0.0

    def begin(self, connection: _Connection, head: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path == b"/generate":
            session = _header(head, b"x-smg-routing-key")
            task = asyncio.ensure_future(self.generate(connection, session))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        elif path == b"/served":
            now = time.process_time()
            counts = {"requests": self.requests, "tokens": self.tokens, "cpu_s": now - self.cpu}
            self.requests = self.tokens = 0
            self.cpu = now
            connection.answer(counts)
        else:
            connection.answer({"model_path": "stand-in", "version": "stand-in"})

    async def generate(self, connection: _Connection, session: str) -> None:
        # SEED/TASK/TRIAL/ATTEMPT, as evaluation names its sessions
        task_id = session.partition("/")[2].rsplit("/", 2)[0]
        number = self.asked[session]
        self.asked[session] += 1
        turns = self.turns[task_id]
        ids = turns[number % len(turns)]  # when all are said, the next run begins
        async with self.gate:
            await asyncio.sleep(self.speed.turn(len(ids)))
        self.requests += 1
        self.tokens += len(ids)
        connection.answer(
            {
                "text": "",
                "output_ids": ids,
                "meta_info": {
                    "finish_reason": {"type": "stop"},
                    "output_token_logprobs": [[-0.25, i, None] for i in ids],
                    "completion_tokens": len(ids),
                },
            }
        )


async def serve(turns: dict[str, Turns], speed: Speed) -> None:
    """Serve on a free port of this machine, and print it, until the process is ended."""
    server = _Server(turns, speed)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: _Connection(server), "127.0.0.1", 0, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("turns", type=Path, help="JSON: task id -> token ids of each answer")
    parser.add_argument("request_s", type=float)
    parser.add_argument("token_s", type=float)
    parser.add_argument("slots", type=int)
    args = parser.parse_args()
    turns = json.loads(args.turns.read_text(encoding="utf-8"))
    asyncio.run(serve(turns, Speed(args.request_s, args.token_s, args.slots)))


if __name__ == "__main__":
    main()
