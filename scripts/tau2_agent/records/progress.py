"""How far a long stage is: a bar on a terminal, a line now and then in a log, and a file to watch.

The file, results/progress.json in a run of the workflow, has an entry for each stage that ran or
runs and is replaced at once: `watch cat results/progress.json`. Rules name it in the environment
(`PROGRESS_FILE`); a program by hand writes it only if it is told to in the same way. Nothing reads
it back but the stages themselves, and no stage fails because it cannot be written.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Self

from tau2_agent.files import write_json

PROGRESS_FILE = "TAU2_AGENT_PROGRESS"  # the environment variable
SECONDS_BETWEEN_LINES = 20.0
SECONDS_BETWEEN_LINES_SLURM = 300.0  # a log that nobody watches
SECONDS_BETWEEN_WRITES = 1.0
TREND = 10  # rollouts that the trend of the reward is taken over


class Progress:
    """One stage, named by what it makes, such as "evaluate results/eval_test.json".

    total, done: in `unit`; what an earlier run of the same stage did is in `done`. says: False for
    a stage that prints lines of its own. Use it as a context manager: an error or a stop leaves the
    state "stopped" behind.
    """

    def __init__(
        self, stage: str, total: int, done: int = 0, unit: str = "episodes", says: bool = True
    ) -> None:
        self.stage, self.total, self.done, self.unit, self.says = stage, total, done, unit, says
        self.solved = self.played = self.tokens = 0
        self.values: dict[str, Any] = {}
        self.validation: float | None = None
        self._rewards: deque[float] = deque(maxlen=TREND)
        self._began = self._said = time.monotonic()
        self._wrote = 0.0
        self._file = Path(os.environ[PROGRESS_FILE]) if os.environ.get(PROGRESS_FILE) else None
        slurm = "SLURM_JOB_ID" in os.environ
        self._pause = SECONDS_BETWEEN_LINES_SLURM if slurm else SECONDS_BETWEEN_LINES
        self._bar: Any = None

    def episode(self, solved: bool, tokens: int | None) -> None:
        """An episode ended. tokens: sampled in it."""
        self.done += 1
        self.played += 1
        self.solved += solved
        self.tokens += tokens or 0
        self._tell()

    def step(self, done: int, reward: float | None = None, **values: float | None) -> None:
        """A step or a rollout ended; `done` of them are. reward: mean of a rollout."""
        self.played += done - self.done
        self.done = done
        self.values = {name: value for name, value in values.items() if value is not None}
        if reward is not None:
            self._rewards.append(reward)
            self.values["reward"] = round(reward, 4)
            if (trend := self.trend()) is not None:
                self.values["trend"] = round(trend, 4)
        self._tell()

    def validated(self, pass_at_1: float | None) -> None:
        """The policy was validated: the share of tasks it solved."""
        self.validation = pass_at_1
        self._tell()

    def trend(self) -> float | None:
        """How much the reward rises a rollout: slope of a line through the last `TREND` of them."""
        count = len(self._rewards)
        if count < 3:
            return None
        middle, mean = (count - 1) / 2, fmean(self._rewards)
        rise = sum((i - middle) * (value - mean) for i, value in enumerate(self._rewards))
        return rise / sum((i - middle) ** 2 for i in range(count))

    def line(self) -> str:
        """What there is to say, in one line."""
        seconds = time.monotonic() - self._began
        parts = [f"{self.done}/{self.total} {self.unit}"]
        if self.unit == "episodes":
            parts.append(f"{self.solved} solved")
        if "reward" in self.values:
            parts.append(f"reward {self.values['reward']:.3f}{self.rises()}")
        if self.validation is not None:
            parts.append(f"validation {self.validation:.3f}")
        if self.tokens and seconds > 0:
            parts.append(f"{self.tokens / seconds:.0f} tokens/s")
        parts.append(f"{_span(seconds)}")
        return ", ".join(parts) + self.left()

    def rises(self) -> str:
        """The trend in words, "" while there are too few rollouts to tell."""
        trend = self.trend()
        return "" if trend is None else f" ({trend:+.3f} a rollout)"

    def left(self) -> str:
        """How long it will take at this pace, "" at first and at the end."""
        seconds = self._seconds_left()
        return "" if not seconds else f", {_span(seconds)} left"

    def __enter__(self) -> Self:
        if self.says and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = [BarColumn(), TextColumn("{task.description}")]
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("", total=self.total, completed=self.done)
        self._write("running")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        whole = kind is None and self.done >= self.total
        self._write("done" if whole else "stopped")

    def _tell(self) -> None:
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, description=self.line())
        elif self.says and (self.done == self.total or now - self._said >= self._pause):
            self._said = now
            print(self.line(), flush=True)
        if now - self._wrote >= SECONDS_BETWEEN_WRITES:
            self._write("running")

    def _seconds_left(self) -> float | None:
        if not self.played:
            return None
        return (time.monotonic() - self._began) / self.played * (self.total - self.done)

    def _write(self, state: str) -> None:
        if self._file is None:
            return
        self._wrote = time.monotonic()
        seconds, left = self._wrote - self._began, self._seconds_left()
        entry: dict[str, Any] = {
            "state": state,
            "unit": self.unit,
            "done": self.done,
            "total": self.total,
            "seconds": round(seconds, 1),
            "seconds_left": left if left is None else round(left, 1),
            "updated": datetime.now().isoformat(timespec="seconds"),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            **self.values,
        }
        if self.validation is not None:
            entry["validation"] = round(self.validation, 4)
        if self.unit == "episodes":
            entry["solved"] = self.solved
        if self.tokens and seconds > 0:
            entry["tokens_per_second"] = round(self.tokens / seconds, 1)
        with contextlib.suppress(OSError), _alone(self._file):  # a full disk is the stage's to tell
            stages = read_progress(self._file)
            write_json(self._file, {"stages": {**stages, self.stage: entry}})


def read_progress(path: Path | str) -> dict[str, Any]:
    """Stage -> what it last said of itself; empty without a file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))["stages"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Stages that run side by side change the file one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
