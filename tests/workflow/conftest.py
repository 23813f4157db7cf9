"""Snakemake in a copy of the repository, as a user would run it."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Snakefile", "config.yaml", "rules", "schemas", "presets", "slurm", "scripts")
TINY = ROOT / "tests" / "workflow" / "tiny.yaml"


@dataclass
class Outcome:
    """What a Snakemake run did: exit status, everything printed, seconds of CPU."""

    status: int
    text: str
    cpu_seconds: float

    @property
    def jobs(self) -> dict[str, int]:
        """Rule -> number of jobs, from the first table of jobs; empty if there was none to do."""
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total ", self.text, re.M | re.S)
        if table is None:
            return {}
        rows = [line.split() for line in table[1].splitlines()]
        return {rule: int(count) for rule, count in rows if rule != "all"}


@dataclass
class Project:
    """A copy of the repository."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", *arguments]

    def start(self, *arguments: str, **more) -> subprocess.Popen:
        """Start Snakemake in a session of its own, so that its whole group can be killed."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **more,
        )

    def run(self, *arguments: str, timeout: float = 600) -> Outcome:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = self.start(*arguments)
        try:
            text, _ = process.communicate(timeout=timeout)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Outcome(process.returncode, text, used)

    def dry_run(self, *arguments: str) -> Outcome:
        return self.run("-n", *arguments)

    def write_config(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")


def copy_repository(folder: Path) -> Project:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy2(source, folder / name)
    return Project(folder)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy in which nothing was made yet."""
    return copy_repository(tmp_path)


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which the whole CPU pipeline ran once, at the smallest size."""
    project = copy_repository(tmp_path_factory.mktemp("tiny"))
    shutil.copy2(TINY, project.folder / "tiny.yaml")
    outcome = project.run("--cores", "2", "--configfile", "tiny.yaml")
    assert outcome.status == 0, outcome.text
    return project


@pytest.fixture
def tiny_copy(tiny_project: Project, tmp_path: Path) -> Project:
    """The finished tiny pipeline, copied, for tests that change it."""
    folder = tmp_path / "copy"
    shutil.copytree(tiny_project.folder, folder, symlinks=True)
    return Project(folder)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Poll a condition; fail if it does not come true in time."""

    def wait(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen in {seconds:.0f} s"
            time.sleep(0.05)

    return wait
