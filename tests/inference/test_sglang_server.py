"""A server of one's own, with a stand-in for SGLang: start, wait, watch, restart, stop."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tau2_agent.inference.sglang_client import SGLangPolicy
from tau2_agent.inference.sglang_server import (
    PatientPolicy,
    ServerError,
    ServerOptions,
    SGLangServer,
    server_command,
)
from tau2_agent.processes import free_ports
from tau2_agent.rollout.policy import Sampling

pytestmark = pytest.mark.slow

# Answers /health_generate after a while, and requests with one token; a child shares its group.
STAND_IN = """
import json, os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
port, mode, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
starts = len(os.listdir(folder))
open(f"{folder}/{os.getpid()}", "w").close()
print("loading weights", flush=True)
if mode == "fails" or (mode == "dies_for_good" and starts):
    sys.exit("ValueError: scripted failure")
child = subprocess.Popen(["sleep", "300"])
open(f"{folder}/child-{child.pid}", "w").close()
ready = time.time() + (600 if mode == "never" else 0.6)
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def answer(self, status, body=b"{}"):
        self.send_response(status); self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
    def do_GET(self):
        self.answer(200 if time.time() > ready else 503)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if mode.startswith("dies") and starts == 0:
            os._exit(9)
        meta = {"finish_reason": {"type": "stop"}, "output_token_logprobs": [[-1.0, 7, None]]}
        self.answer(200, json.dumps({"text": "", "meta_info": meta}).encode())
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path):
    (tmp_path / "pids").mkdir()
    (tmp_path / "server.py").write_text(STAND_IN)

    def make(mode="good", **more):
        port = more.pop("port", None) or free_ports(1)[0]
        command = [sys.executable, str(tmp_path / "server.py"), str(port), mode]
        return SGLangServer(
            ServerOptions(tmp_path, port=port),
            tmp_path / "logs" / "sglang.log",
            command=[*command, str(tmp_path / "pids")],
            poll_s=0.05,
            **more,
        )

    make.pids = lambda: [
        int(path.name.rsplit("-", 1)[-1]) for path in (tmp_path / "pids").iterdir()
    ]
    yield make
    for pid in make.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def ask(server, attempts=2):
    policy = SGLangPolicy(server.url, (7,), attempts=attempts, timeout_s=5, max_wait_s=0.1)
    try:
        return await PatientPolicy(policy, server).generate([1], Sampling(), "s")
    finally:
        await policy.close()


def test_the_command_line():
    options = ServerOptions(
        Path("/m"), tensor_parallel=2, context_length=4096, seed=3, extra=("--dtype", "bfloat16")
    )
    assert server_command(options, 30000, "python")[1:] == [
        *("-m", "sglang.launch_server", "--model-path", "/m", "--host", "127.0.0.1"),
        *("--port", "30000", "--tp-size", "2", "--mem-fraction-static", "0.85"),
        *("--random-seed", "3", "--log-level", "warning", "--context-length", "4096"),
        *("--dtype", "bfloat16"),
    ]
    assert "--context-length" not in server_command(ServerOptions(Path("/m")), 1)


def test_started_waited_for_and_stopped_with_its_children(stand_in):
    async def run():
        async with stand_in() as server:
            assert (await ask(server)).token_ids == [7]
            assert len([pid for pid in stand_in.pids() if alive(pid)]) == 2

    asyncio.run(run())
    assert not [pid for pid in stand_in.pids() if alive(pid)]


def test_a_free_port_is_taken_unless_one_is_given(tmp_path):
    one = SGLangServer(ServerOptions(tmp_path), tmp_path / "log")
    other = SGLangServer(ServerOptions(tmp_path), tmp_path / "log")
    assert one.port != other.port and str(one.port) in one.url
    assert SGLangServer(ServerOptions(tmp_path, port=31234), tmp_path / "log").port == 31234


def test_a_start_that_fails_shows_its_log(stand_in):
    async def run():
        async with stand_in("fails"):
            raise AssertionError("it did not start")

    with pytest.raises(ServerError, match=r"(?s)status 1 at start.*scripted failure"):
        asyncio.run(run())


def test_a_server_that_is_never_ready_is_ended(stand_in):
    async def run():
        async with stand_in("never", ready_timeout_s=1.0):
            raise AssertionError("it is not ready")

    with pytest.raises(ServerError, match="not ready after 1 s"):
        asyncio.run(run())
    assert not [pid for pid in stand_in.pids() if alive(pid)]


def test_a_taken_port_is_named_and_its_server_left_alone(stand_in):
    async def run():
        async with stand_in() as server:
            with pytest.raises(ServerError, match=f"port {server.port} is taken"):
                async with stand_in(port=server.port):
                    pass
            assert (await ask(server)).token_ids == [7]

    asyncio.run(run())


def test_a_death_costs_waiting_and_no_request(stand_in):
    async def run():
        async with stand_in("dies") as server:

            async def work():
                both = await asyncio.gather(ask(server, attempts=1), ask(server, attempts=1))
                return [turn.token_ids for turn in both]

            assert await server.guard(work()) == [[7], [7]]
            assert server.restarts_done == 1

    asyncio.run(run())
    assert not [pid for pid in stand_in.pids() if alive(pid)]


def test_a_server_that_dies_for_good_ends_the_work(stand_in):
    ended = []

    async def run():
        async with stand_in("dies_for_good") as server:

            async def work():
                try:
                    await ask(server, attempts=1)
                finally:
                    ended.append(True)

            await server.guard(work())

    with pytest.raises(ServerError, match="scripted failure"):
        asyncio.run(run())
    assert ended == [True]


def test_errors_of_the_work_come_through(stand_in):
    async def fail():
        raise KeyError("mine")

    async def run():
        async with stand_in() as server:
            await server.guard(fail())

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(run())


def test_a_killed_program_leaves_no_server(stand_in, tmp_path):
    port = free_ports(1)[0]
    program = f"""
import asyncio, sys
from pathlib import Path
from tau2_agent.inference.sglang_server import ServerOptions, SGLangServer
async def run():
    command = [sys.executable, "server.py", "{port}", "good", "pids"]
    async with SGLangServer(ServerOptions(Path("."), port={port}), Path("log"), command=command):
        print("ready", flush=True)
        await asyncio.sleep(600)
asyncio.run(run())
"""
    scripts = Path(__file__).parents[2] / "scripts"
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(scripts)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout.readline() == b"ready\n"
    parent.kill()
    parent.wait()
    server = min(stand_in.pids())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and alive(server):
        time.sleep(0.1)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
