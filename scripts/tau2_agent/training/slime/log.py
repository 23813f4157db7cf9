"""What a slime job says in its log: which checkpoint it loaded, where it starts, its metrics.

slime prints one line a training step and a rollout (`step 3: {...}`, `rollout 3: {...}`,
`perf 3: {...}`); Megatron prints which checkpoint it loads and at which iteration it goes on. Both
come through Ray with a prefix of the process. Nothing here starts or stops anything.
"""

from __future__ import annotations

import ast
import json
import math
import re
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tau2_agent.errors import PipelineError
from tau2_agent.files import write_text
from tau2_agent.records.progress import Progress
from tau2_agent.syntax import NO_VALUE, expression_tree
from tau2_agent.training.resumable import Diverged

_METRICS = re.compile(r"\b(step|rollout|perf|multi_turn|tau2|eval|validation) (\d+): (\{.*\})\s*$")
_LOADED = re.compile(r"successfully loaded checkpoint from (\S+) \[.*\] at iteration (\d+)")
_SAVED = re.compile(r"successfully saved checkpoint from iteration\s+(\d+) to ")
_NUMBER = re.compile(
    r"(?:np\.float\d+|np\.int\d+|tensor)\(([^()]*?)(?:, device=[^()]*|, dtype=[^()]*)*\)"
)
_NOT_FINITE = re.compile(r"(?<![\w'\"])(?:nan|-?inf)(?![\w'\"])")
_STOP = re.compile(r"tau2 stops: (.*)")
_TROUBLE = re.compile(r"Error\b|Exception\b|Traceback|out of memory|Killed|SIG[A-Z]{3,}")


class WrongStart(PipelineError):
    """The job loaded another checkpoint, or began at another rollout, than it was meant to."""


@dataclass(frozen=True)
class Start:
    """Where a job must begin.

    folder: the checkpoint folder whose weights it takes. iteration: None for weights only, with a
    fresh optimizer at rollout 0; else the iteration that it resumes, optimizer included.
    """

    folder: str
    iteration: int | None = None

    @property
    def first_rollout(self) -> int:
        """The first rollout id that the job trains on."""
        return 0 if self.iteration is None else self.iteration + 1

    def describe(self) -> str:
        """One phrase for logs and errors."""
        if self.iteration is None:
            return f"the weights of {self.folder}, a fresh optimizer, rollout 0"
        return f"{self.folder} at iteration {self.iteration}, optimizer included"


@dataclass
class JobLog:
    """Reads a job's lines one by one: checks its start, keeps its metrics.

    start: what must happen; `feed` raises WrongStart as soon as the log says otherwise.
    metrics: a JSON-lines file that every metrics line is appended to; what a killed job wrote there
    about rollouts that are now trained again is dropped. updates_per_rollout: optimizer steps a
    rollout, by which slime numbers its steps. progress: is told of each rollout. stop: why our
    hooks ended the job, if they did.
    """

    start: Start
    metrics: Path | None = None
    updates_per_rollout: int = 1
    progress: Progress | None = None
    loaded: tuple[str, int] | None = None
    first_rollout: int | None = None
    saved: list[int] = field(default_factory=list)
    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    stop: str | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=400))
    _sink: TextIO | None = None

    def feed(self, line: str) -> None:
        """Take one line of the log. Raises WrongStart, or Diverged."""
        self.tail.append(line)
        if match := _LOADED.search(line):
            self._check_loaded(match[1], int(match[2]))
        elif match := _SAVED.search(line):
            self.saved.append(int(match[1]))
        elif match := _STOP.search(line):
            self.stop = match[1]
        elif match := _METRICS.search(line):
            values = parse_metrics(match[3])
            if values is not None:
                self._take(match[1], int(match[2]), values)

    def check_complete(self) -> None:
        """Raise WrongStart if the job ended without saying which checkpoint it loaded."""
        if self.loaded is None:
            raise WrongStart(
                f"the log never says that a checkpoint was loaded; expected {self.start.describe()}"
            )

    def trouble(self, lines: int = 30) -> str:
        """Return the last lines that look like the cause of a failure, or the last lines."""
        kept = list(self.tail)
        telling = [i for i, line in enumerate(kept) if _TROUBLE.search(line)]
        first = max(0, telling[0] - 2) if telling else 0
        return "\n".join(kept[first:][-lines:])

    def close(self) -> None:
        """Close the metrics file."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _check_loaded(self, folder: str, iteration: int) -> None:
        if self.loaded is not None:
            return  # later loads are of the reference model
        self.loaded = (folder, iteration)
        # Megatron reports iteration 0 for weights that are only a start (its --finetune).
        wanted = (self.start.folder, self.start.iteration or 0)
        if Path(folder).resolve() != Path(wanted[0]).resolve() or iteration != wanted[1]:
            raise WrongStart(
                f"the job loaded {folder} at iteration {iteration}; it was to begin with "
                f"{self.start.describe()}"
            )

    def _take(self, kind: str, number: int, values: dict[str, Any]) -> None:
        if kind == "validation":  # a file of its own keeps it
            if self.progress is not None:
                self.progress.validated(values.get("pass_at_1"))
            return
        if not values:
            return  # slime asked for an evaluation that was not due
        if kind == "rollout" and self.first_rollout is None:
            self.first_rollout = number
            if number != self.start.first_rollout:
                raise WrongStart(
                    f"the job began at rollout {number}, not at {self.start.first_rollout}"
                )
        if kind == "step":
            values = {_plain_name(key): value for key, value in values.items()}
            # A gradient norm may be missing; a loss that is no number trains nothing any more.
            if values.get("loss", 0.0) is None:
                raise Diverged(self.start.folder, number, "the loss is not finite")
        self.last.setdefault(kind, {}).update(values)
        rollout = number // self.updates_per_rollout if kind == "step" else number
        if self.progress is not None and kind in ("step", "tau2"):
            reward = values.get("reward") if kind == "tau2" else None
            self.progress.step(rollout + 1, reward, loss=values.get("loss"))
        if self.metrics is None:
            return
        if self._sink is None:
            drop_rows_from(self.metrics, self.start.first_rollout)
            self._sink = open(self.metrics, "a", encoding="utf-8")  # noqa: SIM115 (closed later)
        row = {"kind": kind, "rollout": rollout, "time": round(time.time(), 3), **values}
        self._sink.write(json.dumps(row) + "\n")
        self._sink.flush()


def drop_rows_from(path: Path, rollout: int) -> None:
    """Keep only the rows of rollouts before `rollout`; a missing file is made, empty."""
    kept = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["rollout"] < rollout:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):
                continue  # the line that a killed job was writing
    write_text(path, "".join(f"{line}\n" for line in kept))


def _plain_name(key: str) -> str:
    """A step's metric as both backends name it: loss, grad_norm, learning_rate."""
    name = key.removeprefix("train/")
    return "learning_rate" if name == "lr-pg_0" else name


def parse_metrics(text: str) -> dict[str, Any] | None:
    """Read a dictionary as Python prints it; numpy and torch scalars and nan included.

    Not-finite numbers become None, which JSON has. Returns None for text that is no dictionary of
    plain values.
    """
    plain = _NOT_FINITE.sub("None", _NUMBER.sub(r"\1", text))
    try:
        values = ast.literal_eval(expression_tree(plain.strip()))
    except NO_VALUE:
        return None
    if not isinstance(values, dict):
        return None
    return {
        str(key): None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
