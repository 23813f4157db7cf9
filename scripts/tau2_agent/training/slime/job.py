"""Run one slime job on a Ray of its own, or on one that is given.

A job starts its own Ray head: free ports, its own temporary folder, only the GPUs it was told.
`ray stop` is never called, for it stops every Ray on the machine. What a job started is known by a
variable in its environment (`TAU2_JOB`); only such processes, of this user and this store, are ever
signalled. If the program is killed, the kernel ends its Ray (parent-death signal), and the next run
of the same store sweeps what may be left.

Left out on purpose: which command to run (arguments.py) and what its log means (log.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tau2_agent.errors import PipelineError
from tau2_agent.processes import LOCAL, end, end_with_parent, free_ports, listens, own_address
from tau2_agent.training.slime import ray_nodes

MARKER = "TAU2_JOB"
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
SOCKET_PATH_LIMIT = 107  # bytes of a Unix socket's path; Ray puts up to 62 below its folder
RAY_SUBPATH = 62


class JobError(PipelineError):
    """Ray could not be started, or the job ended badly."""


@dataclass
class RayOptions:
    """How a job gets its Ray.

    address: "" starts one; "auto" or "host:port" joins a running one (`ray symmetric-run` gives
    that on every node); "http://host:port" submits to its dashboard. gpus: on each node. nodes:
    with more than one, of the SLURM allocation, Ray is started on all of them (ray_nodes.py).
    submit: "auto" uses `ray job submit` where the dashboard is installed, else starts the program
    as Ray's driver; "job" and "driver" ask for one of them.
    """

    address: str = ""
    gpus: int = 1
    nodes: int = 1
    submit: str = "auto"
    start_timeout_s: float = 120.0


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
            ray_nodes.workers_command(RAY, cluster.address, nodes, gpus, cpu_slots(gpus)),
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
        submit = [*RAY, "job", "submit", "--address", address]
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
        stop = [*RAY, "job", "stop", "--address", environment["RAY_ADDRESS"], self._submission]
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


@dataclass(frozen=True)
class Cluster:
    """A running Ray head: its address, and its dashboard's if jobs are to be submitted there."""

    address: str
    dashboard: str | None
    folder: Path


@contextlib.contextmanager
def own_ray(
    environment: Mapping[str, str], options: RayOptions, *, lock: int | None, marker: str
) -> Iterator[Cluster]:
    """Start a Ray head for one job, and stop it with everything it started."""
    submit = options.submit == "job" or (options.submit == "auto" and dashboard_installed())
    folder = _new_folder(marker)
    ports = free_ports(9)
    host = LOCAL if options.nodes == 1 else own_address()
    address = f"{host}:{ports[0]}"
    dashboard = f"http://{LOCAL}:{ports[1]}" if submit else None
    log = folder / "start.log"
    head: subprocess.Popen[bytes] | None = None
    try:
        with open(log, "wb") as sink:
            head = subprocess.Popen(
                ray_start_command(options.gpus, ports, folder, dashboard=submit, host=host),
                env={**environment, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"},
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[lock] if lock is not None and lock >= 0 else [],
                preexec_fn=end_with_parent,
            )
        listeners = [(host, ports[0]), *([(LOCAL, ports[1])] if submit else [])]
        _wait_for_ray(head, listeners, log, options)
        yield Cluster(address, dashboard, folder)
    finally:
        if head is not None:
            end(head)
        sweep(marker)
        shutil.rmtree(folder, ignore_errors=True)


def ray_start_command(
    gpus: int, ports: list[int], folder: Path, *, dashboard: bool = True, host: str = LOCAL
) -> list[str]:
    """Return the `ray start` of a head that shares nothing with another one on this machine.

    ports: nine free ones; worker ports are left to the system. host: the address that it listens
    on; other nodes need one that they can reach.
    """
    return [
        *RAY,
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
        f"--node-ip-address={host}",
        f"--port={ports[0]}",
        f"--include-dashboard={'true' if dashboard else 'false'}",
        f"--dashboard-host={LOCAL}",
        f"--dashboard-port={ports[1]}",
        f"--dashboard-agent-listen-port={ports[2]}",
        f"--dashboard-agent-grpc-port={ports[3]}",
        f"--runtime-env-agent-port={ports[4]}",
        f"--metrics-export-port={ports[5]}",
        f"--node-manager-port={ports[6]}",
        f"--object-manager-port={ports[7]}",
        f"--ray-client-server-port={ports[8]}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--temp-dir={folder}",
        f"--num-gpus={gpus}",
        f"--num-cpus={cpu_slots(gpus)}",
    ]


def cpu_slots(gpus: int) -> int:
    """Return the CPU count of a node for Ray's scheduler; it limits nothing.

    slime asks for one a GPU and a few for its manager, on machines with fewer cores too.
    """
    return max(len(os.sched_getaffinity(0)), gpus + 4)


def dashboard_installed() -> bool:
    """Tell whether `ray job submit` can work: it needs the packages of `ray[default]`."""
    return all(
        importlib.util.find_spec(name) is not None
        for name in ("aiohttp_cors", "opencensus", "prometheus_client", "grpc")
    )


def marked_processes(marker: str) -> list[int]:
    """Return this user's processes that a job with this marker started, itself not included."""
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if entry.stat().st_uid != os.getuid():
                continue
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # it ended, or it is not ours to read
    return found


def sweep(marker: str, grace_s: float = 10.0) -> list[int]:
    """End what a former job with this marker left running: SIGTERM, then SIGKILL."""
    left = marked_processes(marker)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in marked_processes(marker):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        deadline = time.monotonic() + grace_s
        while marked_processes(marker) and time.monotonic() < deadline:
            time.sleep(0.2)
    return left


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


def _wait_for_ray(
    head: subprocess.Popen[bytes],
    listeners: list[tuple[str, int]],
    log: Path,
    options: RayOptions,
) -> None:
    deadline = time.monotonic() + options.start_timeout_s
    while not all(listens(*place) for place in listeners):
        if head.poll() is not None or time.monotonic() > deadline:
            why = "ended" if head.poll() is not None else f"took over {options.start_timeout_s:g} s"
            text = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise JobError(f"Ray {why} while starting:\n{text}")
        time.sleep(0.5)


def _new_folder(marker: str) -> Path:
    """Make Ray's folder where its socket paths are short enough, and drop those of killed jobs."""
    place = Path(tempfile.gettempdir())
    prefix = f"tau2-ray-{hashlib.sha256(marker.encode()).hexdigest()[:8]}-"
    if len(str(place)) + len(prefix) + 10 + RAY_SUBPATH > SOCKET_PATH_LIMIT:
        place = Path("/tmp")
    for old in place.glob(f"{prefix}*"):
        if old.stat().st_uid == os.getuid():
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=place))
