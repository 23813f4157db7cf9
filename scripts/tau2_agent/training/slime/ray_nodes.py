"""The other nodes of a job: Ray workers across a SLURM allocation.

One `srun` starts `ray start --address=HEAD` once on each node but this one, inside the allocation
that this program runs in. The workers live as long as that srun, and srun as long as this program.
When it ends early a node, or its Ray, is lost: the job is stopped, for a training cannot go on with
fewer GPUs. Started again, it resumes from its last checkpoint.

Left out on purpose: the head (ray_head.py), and clusters without SLURM: start Ray there, and give
its address.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tau2_agent.errors import InputError, PipelineError

# Printed by a process of its own: a program that has joined a Ray does not leave it cleanly.
COUNT = (
    "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR'); "
    "print('nodes', sum(node['Alive'] for node in ray.nodes()), "
    "int(ray.cluster_resources().get('GPU', 0)))"
)


# What srun must know of its job. The rest describes the batch step, and would add to its options.
KEPT = {"SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CONF", "SLURM_CLUSTER_NAME"}


class NodesError(PipelineError):
    """The other nodes of a job did not come, or one of them was lost."""


@dataclass
class Workers:
    """The Ray workers of a job. `lost` says what happened, "" while all is well."""

    process: subprocess.Popen[bytes]
    log: Path
    lost: str = ""

    def explain(self, what: str) -> str:
        """One line, and the last words of the workers' log."""
        words = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        return f"{what}. The other nodes' log ends with:\n{words}"


def require_allocation(nodes: int) -> None:
    """Raise InputError unless this program runs in a SLURM job, or needs no other node."""
    if nodes > 1 and not ("SLURM_JOB_ID" in os.environ and "SLURMD_NODENAME" in os.environ):
        raise InputError(
            f"a job on {nodes} nodes must run inside a SLURM allocation (snakemake --profile "
            "slurm), or be given a running Ray (--ray-address)"
        )


def workers_command(ray: list[str], address: str, nodes: int, gpus: int, cpus: int) -> list[str]:
    """Return the srun that starts a Ray worker on each node of the allocation but this one.

    nodes: of the whole job. gpus, cpus: on each node; the second is a number for Ray's scheduler.
    """
    others = nodes - 1
    return [
        "srun",
        f"--nodes={others}",
        f"--ntasks={others}",
        "--ntasks-per-node=1",
        f"--exclude={os.environ['SLURMD_NODENAME']}",
        f"--gpus-per-node={gpus}",
        "--mem=0",  # all that the job has there
        "--cpu-bind=none",  # likewise
        "--overlap",
        "--kill-on-bad-exit=1",
        "--export=ALL",
        *ray,
        "start",
        f"--address={address}",
        "--block",
        "--disable-usage-stats",
        "--dashboard-agent-listen-port=0",
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--num-gpus={gpus}",
        f"--num-cpus={cpus}",
    ]


@contextlib.contextmanager
def other_nodes(
    command: list[str],
    environment: Mapping[str, str],
    *,
    address: str,
    nodes: int,
    gpus: int,
    log: Path,
    on_lost: Callable[[], None],
    preexec: Callable[[], None],
    timeout_s: float,
) -> Iterator[Workers]:
    """Run `command` (see `workers_command`) beside the head at `address` until the block ends.

    on_lost: called once, from another thread, when the workers end before that. Raises NodesError
    when the job does not have all its nodes and GPUs after `timeout_s` seconds.
    """
    inherited = {
        name: value
        for name, value in environment.items()
        if name in KEPT or not name.startswith(("SLURM_", "SRUN_"))
    }
    with open(log, "wb") as sink:
        process = subprocess.Popen(
            command,
            env=inherited,
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=preexec,
        )
    workers = Workers(process, log)
    leaving = threading.Event()

    def watch() -> None:
        status = process.wait()
        if not leaving.is_set():
            workers.lost = workers.explain(
                f"a node of the job was lost (its Ray ended, srun's status {status}); run the same "
                "command again to resume from the last checkpoint"
            )
            on_lost()

    try:
        _wait_for_nodes(workers, environment, address, nodes, gpus, timeout_s)
        threading.Thread(target=watch, daemon=True).start()
        yield workers
    finally:
        leaving.set()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_for_nodes(
    workers: Workers,
    environment: Mapping[str, str],
    address: str,
    nodes: int,
    gpus: int,
    timeout_s: float,
) -> None:
    deadline = time.monotonic() + timeout_s
    count = [sys.executable, "-c", COUNT, address]
    seen = "none"
    while time.monotonic() < deadline:
        if workers.process.poll() is not None:
            status = workers.process.returncode
            raise NodesError(workers.explain(f"srun ended with status {status} at the start"))
        done = subprocess.run(
            count,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=120,
            check=False,
        )
        seen = next((line for line in done.stdout.splitlines() if line.startswith("nodes ")), seen)
        if seen == f"nodes {nodes} {nodes * gpus}":
            print(f"Ray has {nodes} nodes with {nodes * gpus} GPUs", flush=True)
            return
        time.sleep(1)
    raise NodesError(
        workers.explain(
            f"after {timeout_s:g} s Ray has {seen}, not nodes {nodes} {nodes * gpus} (GPUs)"
        )
    )
