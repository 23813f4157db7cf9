"""An SGLang server of one's own: started, waited for, watched, started again, stopped.

    async with SGLangServer(ServerOptions(model=folder), log=Path("logs/sglang.log")) as server:
        policy = PatientPolicy(SGLangPolicy(server.url, stop_ids), server)
        await server.guard(play_all(policy))

A server that dies in the middle costs no episode: it is started again on the same port, at most
`restarts` times, and requests wait for it meanwhile. The process ends with this program, however
that ends.

Left out on purpose: requests (sglang_client.py), and servers that somebody else started, which need
only their port.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp

from tau2_agent.errors import PipelineError
from tau2_agent.inference.sglang_client import NO_ANSWER, SGLangPolicy
from tau2_agent.memory import advice
from tau2_agent.processes import end_with_parent, free_ports
from tau2_agent.rollout.policy import Policy, Sampling
from tau2_agent.rollout.trajectory import JobStop, PolicyFailure, Turn

Result = TypeVar("Result")


class ServerError(PipelineError):
    """The server did not start, or died too often; the message ends with its log."""


@dataclass(frozen=True)
class ServerOptions:
    """What the server serves, and how. model: a Hugging Face folder.

    port: 0 takes a free one. tensor_parallel: GPUs that share the model. context_length: tokens, or
    None for the model's own. memory_share: of each GPU, for weights and cache. extra: further
    arguments of `sglang.launch_server`.
    """

    model: Path
    port: int = 0
    tensor_parallel: int = 1
    context_length: int | None = None
    memory_share: float = 0.85
    seed: int = 0
    extra: tuple[str, ...] = ()


def server_command(options: ServerOptions, port: int, python: str = sys.executable) -> list[str]:
    """Return the command that serves on 127.0.0.1:port."""
    return [
        python,
        *("-m", "sglang.launch_server"),
        *("--model-path", str(options.model)),
        *("--host", "127.0.0.1"),
        *("--port", str(port)),
        *("--tp-size", str(options.tensor_parallel)),
        *("--mem-fraction-static", str(options.memory_share)),
        *("--random-seed", str(options.seed)),
        *("--log-level", "warning"),
        *(["--context-length", str(options.context_length)] if options.context_length else []),
        *options.extra,
    ]


class PatientPolicy:
    """A policy whose requests wait while its server starts anew, and are then sent once more."""

    def __init__(self, policy: Policy, server: SGLangServer) -> None:
        self.policy = policy
        self.server = server

    async def generate(self, prompt: list[int], sampling: Sampling, session: str) -> Turn:
        """See `rollout.policy.Policy.generate`."""
        await self.server.until_ready()
        starts = self.server.restarts_done
        try:
            return await self.policy.generate(prompt, sampling, session)
        except PolicyFailure:
            if not await self.server.restarted_since(starts):
                raise
        await self.server.until_ready()
        return await self.policy.generate(prompt, sampling, session)


class ForeignPolicy:
    """A policy behind a server that somebody else runs: nobody will start it anew.

    A server that warms up is waited for. A request that failed is the episode's trouble; a server
    that is gone ends the job.
    """

    def __init__(self, policy: SGLangPolicy) -> None:
        self.policy = policy

    async def generate(self, prompt: list[int], sampling: Sampling, session: str) -> Turn:
        """See `rollout.policy.Policy.generate`. Raises JobStop when no server answers any more."""
        try:
            return await self.policy.generate(prompt, sampling, session)
        except PolicyFailure:
            try:
                waited = await self.policy.check()
            except PolicyFailure as gone:
                raise JobStop(f"{gone}. The same command resumes where it stopped") from None
            if not waited:
                raise
        return await self.policy.generate(prompt, sampling, session)


class SGLangServer:
    """A server process and the task that watches it; see the module's text.

    Attributes: `url`, `restarts_done` (for the records), `failure` (why it is given up, or None).
    """

    def __init__(
        self,
        options: ServerOptions,
        log: Path,
        *,
        ready_timeout_s: float = 900.0,
        restarts: int = 2,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        poll_s: float = 1.0,
    ) -> None:
        """environment: what the server's is to have beside, or instead of, this program's."""
        self.options = options
        self.log = log
        self.port = options.port or free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.ready_timeout_s = ready_timeout_s
        self.restarts = restarts
        self.restarts_done = 0
        self.failure: str | None = None
        self.poll_s = poll_s
        self._command = list(command or server_command(options, self.port))
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._serving = asyncio.Event()
        self._beginning = 0

    async def __aenter__(self) -> Self:
        await self._refuse_taken_port()
        try:
            self._start()
            await self._ready()
        except BaseException:
            await asyncio.shield(self._stop())
            raise
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        await self._stop()

    async def guard(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Await `work`, and cancel it with a ServerError when the server is given up."""
        assert self._watcher is not None, "use the server as an asynchronous context"
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, self._watcher}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ServerError(self.failure or "the watch over SGLang ended")
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def until_ready(self) -> None:
        """Wait while the server starts anew."""
        await self._serving.wait()

    async def restarted_since(self, starts: int) -> bool:
        """Tell whether the server died after `starts` restarts: it is, or will be, there again."""
        await asyncio.sleep(2 * self.poll_s)  # the watch takes notice
        return self.restarts_done > starts or not self._serving.is_set()

    def _start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as sink:
            self._beginning = sink.tell()
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # its own group: all of its children can be ended
                preexec_fn=end_with_parent,
            )

    async def _ready(self) -> None:
        """Wait until the server generates, not only answers: the first request compiles kernels."""
        began = time.monotonic()
        while time.monotonic() - began < self.ready_timeout_s:
            if self._process is None or self._process.poll() is not None:
                status = None if self._process is None else self._process.returncode
                raise ServerError(self._explain(f"SGLang ended with status {status} at start"))
            left = self.ready_timeout_s - (time.monotonic() - began)
            if await self._status("health_generate", max(1.0, left)) == 200:
                self._serving.set()
                return
            await asyncio.sleep(self.poll_s)
        raise ServerError(self._explain(f"SGLang was not ready after {self.ready_timeout_s:g} s"))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.poll_s)
            if self._process is None or self._process.poll() is None:
                continue
            self._serving.clear()
            why = f"SGLang ended with status {self._process.returncode} while serving"
            await self._stop()  # what it left of its group
            if self.restarts_done >= self.restarts:
                self.failure = self._explain(f"{why}, after {self.restarts_done} restarts")
                return
            self.restarts_done += 1
            print(f"{why}; starting it again ({self.restarts_done}/{self.restarts})", flush=True)
            self._start()
            try:
                await self._ready()
            except ServerError as error:
                self.failure = str(error)
                return

    async def _stop(self, grace_s: float = 15.0) -> None:
        """End the process and its whole group, SIGTERM first."""
        process, self._process = self._process, None
        if process is None:
            return
        for number, grace in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 3.0)):
            deadline = time.monotonic() + grace
            try:
                os.killpg(process.pid, number)
                while time.monotonic() < deadline:
                    process.poll()  # reaps it, or it would stay in its group
                    os.killpg(process.pid, 0)
                    await asyncio.sleep(0.1)
            except (ProcessLookupError, PermissionError):
                return  # nobody is left

    async def _refuse_taken_port(self) -> None:
        if await self._status("health", 2.0) is not None:
            raise ServerError(
                f"port {self.port} is taken by another server; give a free one, or 0 to choose one"
            )

    async def _status(self, path: str, timeout_s: float) -> int | None:
        """The HTTP status that a GET of `path` gets, None for no answer."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{self.url}/{path}") as answer,
            ):
                return answer.status
        except NO_ANSWER:
            return None

    def _explain(self, what: str) -> str:
        with open(self.log, "rb") as stream:
            stream.seek(self._beginning)
            words = stream.read().decode("utf-8", errors="replace")
        return f"{what}. {advice(words)}Whole log: {self.log}. It ends with:\n{words[-2000:]}"
