"""The CPU demo stage by stage: seconds, CPU, waiting, and what a faster stage would change.

    python benchmarks/demo.py               in a fresh copy of the project, with this Python
    python benchmarks/demo.py --setup       the copy sets itself up first, downloads included

Start and end of each job are those that Snakemake keeps in .snakemake/metadata; CPU seconds and
memory are what each process says of itself at its end (at_exit/sitecustomize.py). Waiting is the
share of the cores that a stage left idle: 1 - CPU / (seconds x cores). On the path are the seconds
in which the end of the demo waited for a stage: half of them would be saved by twice the speed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import measure

from tau2_agent import cli
from tau2_agent.errors import PipelineError

TARGET = "results/eval_test.json"
COPIED = ["Snakefile", "config.yaml", "rules", "presets", "scripts", "run"]
COPIED += ["pyproject.toml", "uv.lock", "envs"]  # of the setup
BETWEEN = "Snakemake, before, between and after"


class Job(NamedTuple):
    """A job of the workflow: its rule, and when it began and ended, seconds since the epoch."""

    rule: str
    began: float
    ended: float
    command: str


class Process(NamedTuple):
    """A Python process: the name of its program, when it ran, CPU seconds, peak memory in MiB."""

    program: str
    began: float
    ended: float
    cpu: float
    memory_mib: float


class Stage(NamedTuple):
    """All jobs of a rule. path: seconds in which the end of all waited for them."""

    rule: str
    seconds: float
    cpu: float
    path: float
    memory_mib: float


def read_jobs(project: Path) -> list[Job]:
    """The jobs that made the files of a project, in the order of their starts."""
    found = set()
    for file in (project / ".snakemake" / "metadata").iterdir():
        made = json.loads(file.read_text(encoding="utf-8"))
        # of a job with several files each says nearly the same times
        began, ended = round(made["starttime"], 2), round(made["endtime"], 2)
        found.add(Job(made["rule"], began, ended, made["shellcmd"] or ""))
    jobs: dict[tuple[str, str], Job] = {}
    for job in sorted(found, key=lambda job: job.began):
        jobs.setdefault((job.rule, job.command), job)
    return list(jobs.values())


def critical_path(jobs: Iterable[Job], ended: float) -> list[Job]:
    """From the end backwards: the job that ended last before the next one began."""
    path: list[Job] = []
    left = sorted(jobs, key=lambda job: job.ended)
    while left:
        job = left.pop()
        if job.ended <= ended + 0.02:  # the times are rounded
            path.append(job)
            ended = job.began
    return path[::-1]


def by_stage(
    jobs: Sequence[Job], processes: Sequence[Process], began: float, ended: float
) -> list[Stage]:
    """The rules in the order of their starts, and what Snakemake needs beside them."""
    path = critical_path(jobs, ended)
    stages = []
    for rule in dict.fromkeys(job.rule for job in jobs):
        own = [job for job in jobs if job.rule == rule]
        used = [p for p in processes if any(_is_of(p, job) for job in own)]
        stages.append(
            Stage(
                rule,
                covered(own),
                sum(p.cpu for p in used),
                sum(job.ended - job.began for job in path if job.rule == rule),
                max((p.memory_mib for p in used), default=0.0),
            )
        )
    beside = [p for p in processes if not any(_is_of(p, job) for job in jobs)]
    between = ended - began - covered(jobs)
    memory = max((p.memory_mib for p in beside), default=0.0)
    return [*stages, Stage(BETWEEN, between, sum(p.cpu for p in beside), between, memory)]


def covered(jobs: Iterable[Job]) -> float:
    """Seconds in which at least one of the jobs ran."""
    total, until = 0.0, 0.0
    for job in sorted(jobs, key=lambda job: job.began):
        total += max(0.0, job.ended - max(job.began, until))
        until = max(until, job.ended)
    return total


def _is_of(process: Process, job: Job) -> bool:
    runs = job.began - 0.05 <= process.began <= job.ended
    return runs and f"/{process.program} " in job.command


def waiting(seconds: float, cpu: float, cores: int) -> str:
    """The share of the cores that were idle, as a percentage."""
    return f"{max(0.0, 1 - cpu / (seconds * cores)):.0%}" if seconds else ""


def rows(stages: Sequence[Stage], cores: int, seconds: float) -> list[list[object]]:
    """Lines of the table, with the sum as the last."""
    lines = [
        [
            stage.rule,
            f"{stage.seconds:.1f}",
            f"{stage.cpu:.1f}",
            waiting(stage.seconds, stage.cpu, cores),
            f"{stage.path:.1f}",
            f"{stage.path / 2 / seconds:.0%}",
            f"{stage.memory_mib:.0f}",
        ]
        for stage in stages
    ]
    cpu = sum(stage.cpu for stage in stages)
    path = sum(stage.path for stage in stages)
    total = [f"{seconds:.1f}", f"{cpu:.1f}", waiting(seconds, cpu, cores), f"{path:.1f}", "", ""]
    return [*lines, ["all", *total]]


def copy_of_project(folder: Path) -> None:
    for name in COPIED:
        source = measure.ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy2(source, folder / name)


def timed(command: Sequence[str | Path], folder: Path, **environment: str) -> float:
    """Run a command; seconds by the clock. Raises PipelineError with its last lines if it fails."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    ended = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if ended.returncode:
        raise PipelineError(f"{command[0]} ended with {ended.returncode}:\n{ended.stdout[-3000:]}")
    return time.perf_counter() - began


def run_demo(project: Path, snakemake: Path, cores: int) -> str:
    """Run the demo in a project; the table."""
    processes = project / "processes.jsonl"
    at_exit = Path(__file__).parent / "at_exit"
    command = [snakemake, TARGET, "--cores", str(cores)]
    began = time.time()
    seconds = timed(command, project, PYTHONPATH=str(at_exit), PROCESSES=str(processes))
    used = [Process(**json.loads(line)) for line in processes.read_text().splitlines()]
    stages = by_stage(read_jobs(project), used, began, began + seconds)
    header = ["stage", "seconds", "CPU s", "waiting", "on the path, s"]
    header += ["saved at twice the speed", "MiB"]
    return measure.table(header, rows(stages, cores, seconds))


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--setup", action="store_true", help="time ./run setup, and use what it made"
    )
    parser.add_argument("--keep", type=Path, help="a new folder for the project, to look at it")
    args = parser.parse_args()
    print(measure.machine("snakemake", "torch", "trl"), flush=True)
    with tempfile.TemporaryDirectory(prefix="demo-") as scratch:
        project = args.keep or Path(scratch, "project")
        project.mkdir(parents=True)
        copy_of_project(project)
        snakemake = Path(sys.executable).with_name("snakemake")
        if args.setup:
            cache = str(Path(scratch, "uv"))  # nothing from earlier setups
            print(
                f"setup: {timed(['./run', 'setup'], project, UV_CACHE_DIR=cache):.0f} s", flush=True
            )
            snakemake = project / ".venv" / "bin" / "snakemake"
        print(f"\n{run_demo(project, snakemake, args.cores)}")


if __name__ == "__main__":
    cli.run(main)
