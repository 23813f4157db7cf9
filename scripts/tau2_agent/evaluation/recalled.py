"""Options that an evaluation takes from the checkpoint, which remembers what it was trained for.

What is told on the command line wins, and one line says where that differs from the training. What
neither says is the recipe's.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tau2_agent.config.program_options import default
from tau2_agent.rollout.model_folder import positions, require_positions
from tau2_agent.training.trained_for import TrainedFor, read_record

# Option -> its setting.
EPISODE = {
    "prompt": "prompt",
    "max_new_tokens": "evaluation.max_new_tokens",
    "context_length": "evaluation.context_length",
    "max_steps": "evaluation.max_steps",
}
USER = {
    "user": "user.simulator",
    "user_phrasing": "user.phrasing",
    "user_one_action": "user.one_action",
    "user_model": "user.model",
    "user_temperature": "user.temperature",
    "user_max_tokens": "user.max_tokens",
    "user_options": "user.options",
}
AS_TRAINED = "; left out: as the checkpoint was trained, else the preset's"


def leave_out(parser: argparse.ArgumentParser, options: dict[str, str]) -> None:
    """Let options have no default of their own, so that `recall` can tell which were given."""
    for action in parser._actions:
        if action.dest in options:
            action.default, action.help = None, f"{action.help}{AS_TRAINED}"


def recall(args: argparse.Namespace, checkpoint: Path | None) -> TrainedFor | None:
    """Fill the options that were left out; return the checkpoint's record, if it has one.

    Prints where a told option is another one than the training's. Raises TrainedForError, and
    InputError for a told context that is longer than the model's.
    """
    record = read_record(checkpoint) if checkpoint else None
    trained = _values(record) if record else {}
    longest = positions(checkpoint) if checkpoint else None
    other = []
    for name, key in {**EPISODE, **USER}.items():
        if not hasattr(args, name):  # a comparison has two users
            continue
        told = getattr(args, name)
        if told is not None:
            if name in trained and trained[name] != _sent(told, trained[name]):
                other.append(f"{name} {told!r}, trained with {trained[name]!r}")
            if name == "context_length" and checkpoint:
                require_positions(checkpoint, told, "--context-length")
            continue
        value = _given(trained.get(name))
        value = default(key, args.backend) if value is None else value
        if name == "context_length":
            value = min(filter(None, (value, longest)))
        setattr(args, name, value)
    if other:
        print(f"{checkpoint}: evaluated otherwise than trained: {'; '.join(other)}", flush=True)
    return record


def _values(record: TrainedFor) -> dict[str, Any]:
    """Option -> value of the training, as far as it said."""
    found: dict[str, Any] = {name: getattr(record, name) for name in EPISODE}
    user = record.user or {}
    found["user"] = user.get("user")
    for name, value in user.get("user_settings", {}).items():
        found[f"user_{name}"] = value
    return {name: value for name, value in found.items() if value is not None}


def _given(value: Any) -> Any:
    """A value without the options that the model did not take: they are recorded as null."""
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if each is not None}
    return value


def _sent(told: Any, trained: Any) -> Any:
    """A told value as it will be recorded: with null for what the model does not take."""
    if isinstance(told, dict):
        return {n: None if trained.get(n) is None else v for n, v in told.items()}
    return told
