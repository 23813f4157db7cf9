"""One training stage as a slime job: begin or resume, watch, check what happened, export.

The checks are what the published recipes lack: that the job loaded the checkpoint it was meant to,
began at the rollout it was meant to, and left its last checkpoint whole.
Left out on purpose: the command line (arguments.py and the two programs), Ray (job.py).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from tau2_agent.errors import PipelineError
from tau2_agent.memory import advice
from tau2_agent.records.progress import Progress
from tau2_agent.records.validation import (
    WeightsGone,
    best_of,
    choice,
    chosen_rollout,
    read_validation,
)
from tau2_agent.training.megatron import checkpoints as store
from tau2_agent.training.resumable import Diverged, Stage
from tau2_agent.training.slime.arguments import job_environment
from tau2_agent.training.slime.conversion import to_huggingface
from tau2_agent.training.slime.engine_start import EngineStart
from tau2_agent.training.slime.install import Install
from tau2_agent.training.slime.job import Job
from tau2_agent.training.slime.log import JobLog, Start
from tau2_agent.training.slime.ray_head import RayOptions
from tau2_agent.weights import first_not_finite

METRICS = "metrics.jsonl"


class TrainingFailed(PipelineError):
    """A slime job that did not do what it was started for; the message holds the log's cause."""


def last_rollout(stage: Stage, rollouts: int) -> int | None:
    """Return the last rollout that the stage's folder holds whole, None for a new training.

    A folder that holds more than `rollouts` is set aside. Call it before writing into the folder.
    """
    done = store.recover(stage.folder)
    if done is not None and done + 1 > rollouts:
        stage.set_aside(f"it holds {done + 1} rollouts, more than the {rollouts} wanted")
        return None
    return done


class Validate(Protocol):
    """Validates checkpoints between jobs."""

    def is_missing(self, rollout: int) -> bool:
        """Whether the policy after so many rollouts is to be validated, and was not yet."""
        ...

    def play(self, model: Path, rollout: int) -> None:
        """Validate a Hugging Face folder, of the policy after so many rollouts."""
        ...


@dataclass
class Training:
    """One stage's job: its command, where it begins, and how many rollouts it has in all.

    command: slime's arguments, without the program. weights: the folder that a first start takes
    its weights from. prompts, per_rollout: lines of the data file and how many a rollout takes;
    they tell where slime's data source stood after a kill; None if it is not used. done: the last
    rollout that the stage's folder holds, from `last_rollout`. engines: the job starts SGLang's.
    checkpoint: which one becomes the model, "last" or the "best" on validation. validate: plays
    with a Hugging Face folder, of the policy after so many rollouts, if its validation is missing.
    """

    install: Install
    options: argparse.Namespace
    command: list[str]
    weights: Path
    rollouts: int
    prompts: int | None = None
    per_rollout: int = 1
    updates_per_rollout: int = 1
    done: int | None = None
    engines: bool = False
    checkpoint: str = "last"
    validate: Validate | None = None

    def run(self, stage: Stage, python: str) -> dict[str, Any]:
        """Train to the end inside `stage`, export, and return the summary.

        Returns {} when the stage was asked to stop. Raises TrainingFailed or WrongStart.
        """
        folder = stage.folder.resolve()
        done = self.done
        began = time.monotonic()
        if done is not None:
            self._validate(folder, done, python)
        if stage.stop_requested:
            return {}
        if done is None or done + 1 < self.rollouts:
            self._train(stage, folder, done, python)
            if stage.stop_requested:
                return {}
        rollout = chosen_rollout(folder, self.checkpoint, self.rollouts)
        self._export(folder, rollout - 1, python)
        losses = _losses(folder / METRICS)
        return {
            "rollouts": self.rollouts,
            "resumed_at": 0 if done is None else done + 1,
            "started_from": str(self.weights),
            "taken": choice(folder, self.checkpoint, rollout, self.rollouts),
            "seconds": round(time.monotonic() - began, 1),
            "first_loss": losses[0] if losses else None,
            "final_loss": losses[-1] if losses else None,
            "versions": self.install.versions(),
        }

    def _train(self, stage: Stage, folder: Path, done: int | None, python: str) -> None:
        start = Start(str(self.weights)) if done is None else Start(str(folder), done)
        if done is not None and self.prompts is not None:
            restored = store.restore_data_position(
                folder, done, prompts=self.prompts, per_rollout=self.per_rollout
            )
            if restored:
                print(f"the data position after rollout {done} was lost by a kill; computed anew")
        print(f"training begins with {start.describe()}", flush=True)
        first = 0 if done is None else done + 1
        progress = Progress(f"train {stage.target}", self.rollouts, first, "rollouts")
        log = JobLog(start, folder / METRICS, self.updates_per_rollout, progress)
        job = Job(
            command=[python, str(self.install.train_program), *self.command],
            environment=job_environment(self.install, self.options),
            marker=str(folder),
            ray=RayOptions(
                self.options.ray_address, gpus=self.options.gpus, nodes=self.options.nodes
            ),
            lock=stage.lock_descriptor,
        )
        turn = EngineStart()
        if self.engines:
            turn.wait(lambda: stage.stop_requested)
            if stage.stop_requested:
                turn.over()
                return
        stage.on_stop = job.stop
        copy = _next_log(folder / "logs")
        keep = self.options.keep_checkpoints
        exports = Exports(folder)

        def saved() -> None:
            exports.look()  # slime writes an export after its checkpoint: this is the one before
            store.prune(folder, keep, _best(folder))

        try:
            with progress, open(copy, "w", encoding="utf-8") as sink:
                sink.write(json.dumps(job.command) + "\n")
                status = job.run(_reader(log, sink, loaded=turn.over, saved=saved))
        finally:
            stage.on_stop = None
            log.close()
            turn.over()
        if not stage.stop_requested:
            self._check_outcome(folder, status, log, copy)

    def _check_outcome(self, folder: Path, status: int, log: JobLog, copy: Path) -> None:
        last = store.latest_iteration(folder)
        if status != 0 or last is None or last + 1 < self.rollouts:
            reached = "none" if last is None else f"rollout {last}"
            if log.stop is not None:
                raise TrainingFailed(f"{log.stop} (last checkpoint: {reached})")
            trouble = log.trouble()
            raise TrainingFailed(
                f"slime ended with status {status}; last whole checkpoint: {reached}, wanted: "
                f"{self.rollouts - 1}. {advice(trouble)}Whole log: {copy}. It says:\n{trouble}"
            )
        log.check_complete()
        store.prune(folder, self.options.keep_checkpoints, _best(folder))

    def _validate(self, folder: Path, done: int, python: str) -> None:
        """Validate the last checkpoint if a stop came between it and its validation."""
        if self.validate is not None and self.validate.is_missing(done + 1):
            self.validate.play(self._model(folder, done, python), done + 1)

    def _export(self, folder: Path, iteration: int, python: str) -> None:
        """Put the weights of an iteration as a Hugging Face model at the top of the folder."""
        if store.lifted_iteration(folder) != iteration:
            require_finite(self._model(folder, iteration, python), iteration)
            store.lift_export(folder, iteration, _best(folder))

    def _model(self, folder: Path, iteration: int, python: str) -> Path:
        """The Hugging Face export of an iteration. Raises WeightsGone if it is not there."""
        export = folder / "hf" / str(iteration)
        if not store.is_huggingface_folder(export):
            if iteration != store.latest_iteration(folder):
                raise WeightsGone(folder, iteration + 1)
            # a kill came between the checkpoint and its export
            shutil.rmtree(export, ignore_errors=True)
            to_huggingface(self.install, folder, export, self.options.model, python=python)
        return export


def _best(folder: Path) -> int | None:
    """The iteration that is the best on validation so far."""
    best = best_of(read_validation(folder))
    return best.rollout - 1 if best else None


def require_finite(export: Path, rollout: int) -> None:
    """Look at every weight of an export. Raises Diverged."""
    if name := first_not_finite(export):
        raise Diverged(export, rollout, f"{name} is not finite")


class Exports:
    """Looks at each Hugging Face export of a job once it is whole, while the job goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "hf"
        self._seen: set[Path] = set()

    def look(self) -> None:
        """Look at those that are new. Raises Diverged."""
        for export in sorted(self.folder.glob("*")):
            if export not in self._seen and store.is_huggingface_folder(export):
                self._seen.add(export)
                require_finite(export, int(export.name))


def _reader(
    log: JobLog, sink: TextIO, *, loaded: Callable[[], Any], saved: Callable[[], Any]
) -> Callable[[str], None]:
    """Shows, keeps and checks each line. loaded: the trainers, which slime starts last, are up."""
    checkpoints = 0

    def read(line: str) -> None:
        nonlocal checkpoints
        print(line, flush=True)
        sink.write(line + "\n")
        sink.flush()
        log.feed(line)
        if log.loaded:
            loaded()
        if len(log.saved) > checkpoints:
            checkpoints = len(log.saved)
            saved()

    return read


def _losses(path: Path) -> list[float]:
    """The losses of a metrics file, in order, as far as they are numbers."""
    if not path.exists():
        return []
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    found = (row.get("loss") for row in rows if row["kind"] == "step")
    return [loss for loss in found if loss is not None]


def _next_log(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + len(list(folder.glob("job-*.log")))
    return folder / f"job-{number:03d}.log"
