"""What the experiments share: copies of the project, the workflow in them, many at a time.

Each copy is a folder of its own with its own data, models, checkpoints and results, so copies that
run side by side share no file. A part that several need is made in one copy, and that is copied.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from tau2_agent import locks  # noqa: E402
from tau2_agent.errors import PipelineError  # noqa: E402

PROJECT = ("Snakefile", "config.yaml", "presets", "profiles", "rules", "scripts")
LOG, LOCK = "experiment.log", "experiment.lock"
GRACE_S = 60.0  # for what saves its state when it is told to stop

_running: set[subprocess.Popen] = set()
_stopping = threading.Event()


class Stopped(PipelineError):
    """Asked to stop; what is done is kept."""


def copy_project(folder: Path) -> Path:
    """Copy what the workflow needs of this project, unless the copy is there."""
    if not folder.exists():
        new = _partial(folder)
        new.mkdir(parents=True)
        for name in PROJECT:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, new / name, ignore=ignored)
            else:
                shutil.copy2(source, new / name)
        new.rename(folder)
    return folder


def copy_of(source: Path, folder: Path) -> Path:
    """Copy a copy with all that was made in it, unless that is there. Nobody may work in it."""
    if not folder.exists():
        new = _partial(folder)
        ignored = shutil.ignore_patterns(LOG, LOCK, "__pycache__")
        shutil.copytree(source, new, symlinks=True, ignore=ignored)
        new.rename(folder)  # at once: a copy that was cut short is never taken for a whole one
    return folder


def _partial(folder: Path) -> Path:
    new = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(new, ignore_errors=True)
    return new


def snakemake(
    folder: Path,
    targets: Sequence[str],
    config: Mapping[str, Any],
    configfiles: Sequence[Path] = (),
    cores: int = 1,
) -> None:
    """Make targets in a copy; what it says goes to its log. Raises PipelineError, Stopped.

    A copy that an earlier start was killed in goes on: its own lock, not Snakemake's, keeps a
    second one out.
    """
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", str(cores)]
    command += ["--quiet", "rules", "--nolock", "--rerun-incomplete"]
    if configfiles:
        command += ["--configfile", *map(str, configfiles)]
    command += ["--config", *(f"{key}={json.dumps(value)}" for key, value in config.items())]
    log = folder / LOG
    with open(folder / LOCK, "wb") as lock, open(log, "ab") as stream:
        locks.hold(lock.fileno(), folder, "works there")
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # to stop it with all that it started
            pass_fds=[lock.fileno()],
        )
        _running.add(process)
        if _stopping.is_set():
            _signal(process, signal.SIGTERM)
        try:
            status = process.wait()
        finally:
            _running.discard(process)
    if _stopping.is_set():
        raise Stopped(f"{folder}: stopped; the same command goes on there")
    if status:
        raise PipelineError(f"{folder}: snakemake ended with {status}; see {log}")


def cpu_seconds(benchmark: Path) -> float:
    """CPU time of a rule's job: other work on the machine does not count, as wall time would."""
    with open(benchmark, encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream, delimiter="\t")
    return float(row["cpu_time"])


@dataclass(frozen=True)
class Job:
    """One piece of work. after: names of the jobs before it in the list that it needs."""

    name: str
    work: Callable[[], None]
    after: tuple[str, ...] = ()


def run_all(jobs: Sequence[Job], at_once: int) -> int:
    """Run jobs, so many at once, in their order. A job that fails takes those with it that need it.

    Says in a line how each ended; SIGTERM and Ctrl-C stop all of them. Returns how many failed.
    """
    ended: dict[str, concurrent.futures.Future] = {}
    pool = concurrent.futures.ThreadPoolExecutor(at_once)

    def one(job: Job) -> None:
        # They come earlier in the pool's queue, so they run or are done: no dead end.
        for name in job.after:
            if ended[name].exception() is not None:
                raise PipelineError(f"needs {name}, which failed")
        if _stopping.is_set():
            raise Stopped("not begun")
        began = time.monotonic()
        job.work()
        _say(f"{job.name}: done in {time.monotonic() - began:.0f} s")

    def interrupt(number: int, _: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        for job in jobs:
            ended[job.name] = pool.submit(one, job)
            ended[job.name].add_done_callback(lambda done, name=job.name: _tell(name, done))
        concurrent.futures.wait(ended.values())
    except KeyboardInterrupt:
        _say("stopping; the same command goes on where it stopped")
        _stop()
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)
        pool.shutdown(wait=True, cancel_futures=True)
    return sum(done.exception() is not None for done in ended.values())


def _tell(name: str, done: concurrent.futures.Future) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        kind = "" if isinstance(error, PipelineError) else f"{type(error).__name__}: "
        _say(f"{name}: failed: {kind}{error}")


def _stop() -> None:
    _stopping.set()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in list(_running):
            _signal(process, number)
        until = time.monotonic() + GRACE_S
        while _running and time.monotonic() < until:
            time.sleep(0.2)


def _signal(process: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
