"""Programs as processes of their own that find the large libraries imported.

Importing TRL takes six seconds of CPU and Snakemake two, more than what most tests do with them.
The server of `multiprocessing` imports them once, and each program is a fork of it, with memory, a
process group, signals and an exit status of its own: `kill -9` hits it as any other. `run_here` is
for programs whose end alone is of interest. What users start is a fresh interpreter: tests/workflow
starts the stages so.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tau2_agent import cli

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
LIBRARIES = [
    "snakemake.cli",
    "trl.trainer.sft_trainer",
    "trl.trainer.grpo_trainer",
    "transformers.models.qwen3.modeling_qwen3",
    "litellm",
]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(LIBRARIES)


class Program:
    """What of subprocess.Popen the tests use: its streams, signals, waiting and exit status.

    program: a file of scripts/, or "snakemake". Its standard error goes to its standard output.
    """

    def __init__(
        self,
        program: str,
        *words: object,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        ours, its = _context.Pipe(duplex=False)
        environment = {**(os.environ if environment is None else environment)}
        arguments = (its, program, [str(word) for word in words], folder or Path.cwd(), environment)
        self._process = _context.Process(target=_run, args=arguments)
        self._process.start()
        its.close()
        self.pid = self._process.pid
        self.stdout = os.fdopen(os.dup(ours.fileno()), encoding="utf-8", errors="replace")
        ours.close()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Everything it printed. After the timeout its process group is killed."""
        timer = threading.Timer(timeout or threading.TIMEOUT_MAX, os.killpg, (self.pid, 9))
        timer.daemon = True
        timer.start()
        with self.stdout:
            text = self.stdout.read()
        self.wait()
        timer.cancel()
        return text, None


def run_here(monkeypatch, capfd, program: str, *words: object) -> tuple[int, str]:
    """Run a program in this process: its exit status, and everything it printed."""
    monkeypatch.setattr(sys, "argv", [program, *map(str, words)])
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.run(importlib.import_module(program.removesuffix(".py")).main)
    return ended.value.code, "".join(capfd.readouterr())


def _run(pipe, program: str, words: list[str], folder: Path, environment: dict[str, str]) -> None:
    """In the fork: become the program."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # a library asked for it in the server, with the server's TMPDIR
    os.dup2(pipe.fileno(), 1)
    os.dup2(pipe.fileno(), 2)
    pipe.close()
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    # What the tests imported of ours is not what a copy of the project holds.
    for name in [name for name in sys.modules if name.split(".")[0] == "tau2_agent"]:
        del sys.modules[name]
    if program == "snakemake":
        sys.path[:] = [place for place in sys.path if Path(place) != SCRIPTS]
        sys.argv = ["snakemake", *words]
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    else:
        sys.argv = [str(SCRIPTS / program), *words]
        sys.path.insert(0, str(SCRIPTS))
        runpy.run_path(str(SCRIPTS / program), run_name="__main__")
