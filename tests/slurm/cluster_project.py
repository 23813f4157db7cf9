"""A copy of the project whose jobs a cluster runs, and a thread that stops its trainers."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import yaml
from cluster import Cluster
from project_copy import TINY, Project, copy_repository, whole_checkpoints


class ClusterProject(Project):
    """A copy of the repository on a machine that can submit jobs."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder)
        self.cluster = cluster
        self.environment = {**cluster.environment}
        self.running: list[subprocess.Popen] = []

    def start(self, *arguments: str, **more) -> subprocess.Popen:
        log = open(self.folder / f"snakemake-{len(self.running)}.txt", "wb")  # noqa: SIM115
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def text(self, number: int = -1) -> str:
        """What the given Snakemake printed; the last one by default."""
        number = number % len(self.running)
        return (self.folder / f"snakemake-{number}.txt").read_text(errors="replace")

    def finish(self, process: subprocess.Popen, seconds: float = 900) -> str:
        """Wait for Snakemake's end; its words. Fails unless it succeeded."""
        status = process.wait(seconds)
        text = self.text(self.running.index(process))
        assert status == 0, text
        return text

    def job(self, rule: str, *states: str) -> dict[str, str] | None:
        """The newest job of a rule in one of the states."""
        found = [job for job in self.cluster.jobs(*states) if job["comment"] == f"rule_{rule}"]
        return max(found, key=lambda job: int(job["id"]), default=None)

    def checkpoints(self, target: str) -> list[int]:
        """Steps of the whole checkpoints in the target's store."""
        return [int(path.name[11:]) for path in whole_checkpoints(self.folder, target)]

    def trainer(self, target: str) -> int:
        """The process that holds the target's lock, 0 if none lives."""
        lock = self.folder / "checkpoints/.store" / f"{target}.lock"
        holder = re.match(r"process (\d+) on", lock.read_text() if lock.exists() else "")
        return int(holder[1]) if holder and Path(f"/proc/{holder[1]}").exists() else 0

    def end(self) -> None:
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Stopper(threading.Thread):
    """Stops (SIGSTOP) each trainer of a target as soon as it has saved a checkpoint of its own.

    So it costs no processor while a test waits for SLURM, and the test knows what was saved.
    `stops` gets (process, step) of each.
    """

    def __init__(self, project: ClusterProject, target: str) -> None:
        super().__init__(daemon=True)
        self.project = project
        self.target = target
        self.stops: queue.Queue[tuple[int, int]] = queue.Queue()
        self.start()

    def run(self) -> None:
        began: dict[int, int] = {}  # trainer -> the last step that was saved when it began
        seen = set()
        while True:
            time.sleep(0.05)
            step = max(self.project.checkpoints(self.target), default=0)
            trainer = self.project.trainer(self.target)
            if not trainer or trainer in seen:
                continue
            if step > began.setdefault(trainer, step):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(trainer, signal.SIGSTOP)
                    seen.add(trainer)
                    last = max(self.project.checkpoints(self.target), default=0)
                    self.stops.put((trainer, last))


def copy_for(folder: Path, cluster: Cluster) -> ClusterProject:
    """A copy of the repository with the smallest sizes of everything."""
    copy_repository(folder)
    values = yaml.safe_load(TINY.read_text())
    values |= {"backend": "cpu", "resources": {"threads": 1, "memory_gb": 1}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    return ClusterProject(folder, cluster)
