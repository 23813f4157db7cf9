"""What a TRL training on the CPU needs to be a resumable stage: checkpoints, signals, metrics."""

from __future__ import annotations

import json
import math
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging

from tau2_agent.files import JsonLineError, read_jsonl, write_jsonl
from tau2_agent.memory import OutOfMemory, is_out_of_memory
from tau2_agent.records.progress import Progress
from tau2_agent.records.validation import WeightsGone
from tau2_agent.rollout.loading import load_model
from tau2_agent.rollout.trajectory import JobStop
from tau2_agent.training.resumable import Diverged, Stage
from tau2_agent.training.trained_for import TrainedFor, write_record
from tau2_agent.weights import first_not_finite

METRICS = "metrics.jsonl"


class StageCallback(TrainerCallback):
    """Saves and leaves when the stage is asked to stop; writes logged values as JSON lines.

    Ends a training that diverged: a loss, gradient or weight that is not finite. A checkpoint of
    such weights is renamed, so that no resume begins there.
    """

    def __init__(self, stage: Stage, progress: Progress | None = None) -> None:
        self.stage = stage
        self.progress = progress
        self.began = time.time()

    def on_step_end(self, args, state, control, **kwargs):
        if self.stage.stop_requested:
            control.should_save = True
            control.should_training_stop = True
        return control

    def on_log(self, args, state, control, logs=None, **kwargs):
        row = {"step": state.global_step, "seconds": round(time.time() - self.began, 2)}
        row |= {key: value for key, value in (logs or {}).items() if isinstance(value, int | float)}
        for key in ("loss", "grad_norm"):
            if not math.isfinite(row.get(key, 0.0)):
                raise Diverged(self.stage.target, state.global_step, f"{key} is {row[key]}")
        with open(self.stage.folder / METRICS, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        if "loss" in row and self.progress is not None and self.progress.unit == "steps":
            self.progress.step(state.global_step, loss=row["loss"])
        if "loss" in row:
            text = "  ".join(f"{key} {row[key]:.4g}" for key in row if _worth_showing(key))
            print(f"step {state.global_step}/{state.max_steps}  {text}", flush=True)

    def on_save(self, args, state, control, **kwargs):
        checkpoint = self.stage.folder / f"checkpoint-{state.global_step}"
        if name := first_not_finite(checkpoint):
            checkpoint.rename(checkpoint.with_name(f"broken-{checkpoint.name}-{time.time_ns()}"))
            raise Diverged(self.stage.target, state.global_step, f"{name} is not finite")


def _worth_showing(key: str) -> bool:
    return key in ("loss", "learning_rate", "mean_token_accuracy", "kl", "grad_norm") or (
        key.startswith("rewards/") and key.endswith("/mean")
    )


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of a trainer, None if there is none.

    A trainer killed while it wrote leaves a folder that cannot be loaded: such a one is renamed to
    `broken-…`, and the one before it is taken.
    """
    found = sorted(
        (path for path in folder.glob("checkpoint-*") if path.name[11:].isdigit()),
        key=lambda path: int(path.name[11:]),
        reverse=True,
    )
    for path in found:
        fault = _fault(path)
        if fault is None:
            return path
        aside = path.with_name(f"broken-{path.name}-{time.time_ns()}")
        path.rename(aside)
        print(f"{path}: not whole ({fault}); kept as {aside.name}, the one before it is used")
    return None


def _fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, None if nothing. Of weights, only the header is read.

    Raises OutOfMemory or PermissionError: what cannot be read now may be whole.
    """
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        if state["global_step"] != int(checkpoint.name[11:]):
            return "trainer_state.json is of another step"
        with safe_open(checkpoint / "model.safetensors", framework="pt") as weights:
            weights.keys()
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        _require_a_fault(error, checkpoint)
        return f"{type(error).__name__}: {error}"
    random_states = sorted(path.name for path in checkpoint.glob("rng_state*.pth"))
    for name in ("optimizer.pt", "scheduler.pt", *random_states):
        try:
            with zipfile.ZipFile(checkpoint / name) as archive:
                if archive.testzip() is not None:
                    return f"{name} is damaged"
        except (OSError, zipfile.BadZipFile) as error:
            _require_a_fault(error, checkpoint)
            return f"{name} is missing or cut"
    return None


def _require_a_fault(error: Exception, checkpoint: Path) -> None:
    """Raise what is no fault of the checkpoint's files."""
    if is_out_of_memory(error):
        raise OutOfMemory(error, f"reading {checkpoint}") from error
    if isinstance(error, PermissionError):
        raise error


def cut_metrics(folder: Path, step: int, name: str = METRICS) -> None:
    """Drop the rows beyond a checkpoint: those steps will be trained, and written, again."""
    path = folder / name
    if path.exists():
        write_jsonl(path, [row for row in read_jsonl_prefix(path) if row["step"] <= step])


def read_jsonl_prefix(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file whose writer may have been killed."""
    rows: list[dict[str, Any]] = []
    try:
        for row in read_jsonl(path):
            rows.append(row)
    except JsonLineError:
        pass  # a kill cut the last line
    return rows


def silence_progress() -> None:
    """Keep libraries from printing what the stage's own lines say better."""
    import datasets

    warnings.filterwarnings("ignore", ".*gradient_checkpointing. is deprecated", FutureWarning)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    datasets.disable_progress_bars()


def run(
    stage: Stage, trainer: Any, checkpoint: Path | None, progress: Progress, *more: TrainerCallback
) -> Any:
    """Train from the checkpoint, or from the start, with this stage's callbacks and `more`.

    progress: is told of each step if it counts steps; who plays rollouts tells of those itself. A
    JobStop, such as a spent budget, leaves a checkpoint of the last whole step: its rollouts are
    paid for.
    """
    for callback in (StageCallback(stage, progress), *more):
        trainer.add_callback(callback)
    trainer.remove_callback(PrinterCallback)
    with progress:
        try:
            return trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except JobStop:
            step = trainer.state.global_step
            if step and not (stage.folder / f"checkpoint-{step}").exists():
                trainer._save_checkpoint(trainer.model, trial=None)
            raise


def load_checkpoint(folder: Path, step: int) -> Any:
    """The model of one of a trainer's checkpoints. Raises WeightsGone."""
    checkpoint = folder / f"checkpoint-{step}"
    if not checkpoint.is_dir():
        raise WeightsGone(folder, step)
    return load_model(checkpoint)


def finish(
    stage: Stage,
    trainer: Any,
    tokenizer: Any,
    summary: dict[str, Any],
    record: TrainedFor,
    model: Any = None,
) -> None:
    """Write the final model where the next stage looks for it, and mark the stage as done.

    model: in place of the trainer's. Raises Diverged if a weight is not finite.
    """
    (trainer.model if model is None else model).save_pretrained(stage.folder)
    if name := first_not_finite(stage.folder):
        raise Diverged(stage.target, trainer.state.global_step, f"{name} is not finite")
    tokenizer.save_pretrained(stage.folder)
    write_record(stage.folder, record)
    stage.finish(summary)
