"""A copy of the repository, and Snakemake in it as a user would run it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from program_runs import Program

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("Snakefile", "config.yaml", "rules", "presets", "profiles", "slurm", "scripts")
TINY = ROOT / "tests" / "workflow" / "tiny.yaml"


@dataclass
class Outcome:
    """What a Snakemake run did: exit status, everything printed."""

    status: int
    text: str

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
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **more,
        )

    def run(self, *arguments: str, timeout: float = 600) -> Outcome:
        process = self.start(*arguments)
        try:
            text, _ = process.communicate(timeout=timeout)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return Outcome(process.returncode, text)

    def dry_run(self, *arguments: str) -> Outcome:
        """`snakemake -n`, without the seconds of its imports."""
        process = Program("snakemake", "-n", *arguments, folder=self.folder)
        text, _ = process.communicate(timeout=60)
        return Outcome(process.returncode, text)

    def write_config(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")


def whole_checkpoints(folder: Path, target: str) -> list[Path]:
    """A target's checkpoints on the CPU, by step. The trainer writes trainer_state.json last."""

    def is_whole(state: Path) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return bool(json.loads(state.read_text()))
        return False

    stores = (folder / "checkpoints/.store").glob(f"{target}-*")
    states = [path for store in stores for path in store.glob("checkpoint-*/trainer_state.json")]
    found = [path.parent for path in states if is_whole(path)]
    return sorted(found, key=lambda path: int(path.name[11:]))


def copy_repository(folder: Path) -> Project:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy2(source, folder / name)
    return Project(folder)
