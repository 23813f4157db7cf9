"""Run one slime job on a Ray of its own, or on one that is given.

Left out on purpose: which command to run (arguments.py), what its log means (log.py), a Ray of its
own (ray_head.py, ray_nodes.py), and what a kill leaves (marked_processes.py).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import secrets
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tau2_agent.processes import end, end_with_parent
from tau2_agent.training.slime import ray_head, ray_nodes
from tau2_agent.training.slime.marked_processes import MARKER, sweep
from tau2_agent.training.slime.ray_head import Cluster, JobError, RayOptions, cpu_slots, own_ray


@dataclass
class Job:
    """One command on Ray.

    marker: names all processes of this store's jobs; use the store's absolute path.
    environment: added to what this process has; secrets are best left in the environment, where no
    dashboard shows them. lock: a file descriptor that keeps the store locked while Ray lives.
    """

    command: list[str]
    environment: Mapping[str, str]
    marker: str
    ray: RayOptions = field(default_factory=RayOptions)
    lock: int | None = None
    stopped: bool = False
    _ending: bool = False  # the client is to end, also if it begins only now
    _client: subprocess.Popen[bytes] | None = None
    _submission: str = ""  # of a job given to a dashboard

    def run(self, on_line: Callable[[str], None]) -> int:
        """Run to the end, give every line of output to `on_line`, return the exit status.

        An exception from `on_line` ends the job and goes on to the caller. Raises JobError if Ray
        does not start. The status is no proof of success: `ray job submit` also returns 0 for a
        job that was stopped. Look at what the job was to write.
        """
        sweep(self.marker)
        environment = {**os.environ, **self.environment, MARKER: self.marker}
        if not self.ray.address and "RAY_AUTH_MODE" not in environment:
            # Ray's ports are open to every user of the machine: only who has the token may use it.
            # Ray has known these since 2.52; older ones ignore them.
            environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        with contextlib.ExitStack() as stack:
            if self.ray.address:
                command, extra = self._joining(self.ray.address)
                workers = None
            else:
                ray_nodes.require_allocation(self.ray.nodes)
                cluster = stack.enter_context(
                    own_ray(environment, self.ray, lock=self.lock, marker=self.marker)
                )
                command, extra = self._joining(cluster.dashboard or cluster.address)
                workers = stack.enter_context(self._workers(cluster, environment))
            status = self._follow(command, {**environment, **extra}, on_line)
            if workers is not None and workers.lost:
                raise JobError(workers.lost)
            return status

    def stop(self, *_: object) -> None:
        """End the job soon; `run` then returns. May be called from a signal handler."""
        self.stopped = True
        self._end_client()

    def _workers(
        self, cluster: Cluster, environment: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[ray_nodes.Workers | None]:
        """Start Ray on the other nodes of the job, if it has any."""
        nodes, gpus = self.ray.nodes, self.ray.gpus
        if nodes == 1:
            return contextlib.nullcontext()
        return ray_nodes.other_nodes(
            ray_nodes.workers_command(ray_head.RAY, cluster.address, nodes, gpus, cpu_slots(gpus)),
            environment,
            address=cluster.address,
            nodes=nodes,
            gpus=gpus,
            log=cluster.folder / "workers.log",
            on_lost=self._end_client,
            preexec=end_with_parent,
            timeout_s=self.ray.start_timeout_s,
        )

    def _end_client(self) -> None:
        self._ending = True
        if self._client is not None and self._client.poll() is None:
            self._client.terminate()

    def _joining(self, address: str) -> tuple[list[str], dict[str, str]]:
        """Return the command and the variables that run the job on the Ray at `address`."""
        if not address.startswith("http"):
            return self.command, {"RAY_ADDRESS": address}
        runtime = {"env_vars": dict(self.environment)}
        self._submission = f"tau2-{uuid.uuid4().hex[:12]}"
        submit = [*ray_head.RAY, "job", "submit", "--address", address]
        submit += ["--submission-id", self._submission]
        submit += ["--runtime-env-json", json.dumps(runtime), "--", *self.command]
        return submit, {"RAY_ADDRESS": address}

    def _follow(
        self,
        command: list[str],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> int:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )
        self._client = process
        assert process.stdout is not None
        try:
            if self._ending:
                process.terminate()
            for line in _lines(process):
                on_line(line)
            return process.wait()
        except BaseException:
            self.stopped = True
            raise
        finally:
            end(process)
            if self.stopped and self._submission:
                self._cancel(environment)

    def _cancel(self, environment: Mapping[str, str]) -> None:
        """Stop the submitted job itself: its client's end does not, and it would train on."""
        stop = [*ray_head.RAY, "job", "stop", "--address", environment["RAY_ADDRESS"]]
        stop.append(self._submission)
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                stop,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=60,
            )
            if done.returncode == 0:
                print(f"Ray job {self._submission}: stopped", flush=True)
                return
        print(
            f"warning: Ray job {self._submission} could not be stopped and may still train; stop "
            f"it with: ray job stop --address {environment['RAY_ADDRESS']} {self._submission}",
            flush=True,
        )


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield a process's lines until it has ended, also if a child of its keeps the pipe open."""
    assert process.stdout is not None
    # Progress bars rewrite their line with \r: each state is a line here.
    text = io.TextIOWrapper(process.stdout, encoding="utf-8", errors="replace", newline=None)
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in text:
                waiting.put(line.rstrip("\n"))
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = waiting.get(timeout=1.0)
        except queue.Empty:
            if process.poll() is not None:
                return
            continue
        if line is None:
            return
        yield line
