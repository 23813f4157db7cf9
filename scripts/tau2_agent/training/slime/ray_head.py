"""The Ray head of one job: free ports, its own temporary folder, only the GPUs it was told.

Elsewhere: what runs on it (job.py), and Ray on other nodes (ray_nodes.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tau2_agent.errors import PipelineError
from tau2_agent.processes import LOCAL, end, end_with_parent, free_ports, listens, own_address
from tau2_agent.training.slime.marked_processes import sweep

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
