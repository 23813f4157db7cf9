"""Validation while a policy is trained: it plays a fixed part of `extra_dev`, as in an evaluation.

The episodes are those of an evaluation: its loop, limits and retries, greedy, with tau2's reward.
One limit is the training's: with `grpo.repeat_limit` a loop ends, since it is lost and would take
most of a validation's time. The user is the training's. Nothing of it reaches the training: neither
its random numbers nor its count of failures, only its purse if the user is a language model. What
is written: records/validation.py; how the trainers are hooked up: validation_trl.py,
validation_slime.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from tau2_agent.benchmark.selection import draw
from tau2_agent.benchmark.tasks import faults, find_leaks, get_task, split_ids
from tau2_agent.config.program_options import add
from tau2_agent.errors import InputError
from tau2_agent.evaluation.model_evaluation import make_settings
from tau2_agent.evaluation.model_players import play_all
from tau2_agent.records.episode_row import EpisodeRow
from tau2_agent.records.validation import (
    Validation,
    append_validation,
    is_due,
    read_validation,
)
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.model_folder import require_positions
from tau2_agent.rollout.room import require_room
from tau2_agent.users.registry import Users

SPLIT = "extra_dev"  # the split for choosing settings
PREFIX = "validation_"
LIMITS = ("max_new_tokens", "context_length", "max_steps", "concurrency", "max_failure_share")


def add_flags(parser: argparse.ArgumentParser, backend: str) -> None:
    """Add the options on validation; the limits are an evaluation's, as --validation-…"""
    group = parser.add_argument_group("validation")
    add(group, "grpo.validation_every grpo.validation_tasks grpo.checkpoint", backend)
    limits = " ".join(f"evaluation.{name}" for name in LIMITS)
    add(group, limits, backend, prefix=PREFIX.replace("_", "-"))
    if backend == "slime":
        add(group, "slime.server_args", backend)


def is_validation_flag(name: str) -> bool:
    """Whether an option is one of these. No weight depends on them: one training serves all."""
    return name.startswith(PREFIX) or name == "checkpoint"


def check(options: argparse.Namespace, train_ids: Sequence[str]) -> None:
    """Refuse what cannot be: a best checkpoint that nothing keeps, tasks that are trained on.

    Raises InputError.
    """
    every, save = options.validation_every, options.save_rollouts
    if options.checkpoint == "best" and (not every or every % save):
        raise InputError(
            f"--checkpoint best needs --validation-every, now {every}, to be a multiple of "
            f"--save-rollouts {save}: what is validated must be kept"
        )
    if every:
        longest = options.validation_context_length
        require_positions(options.model, longest, "evaluation.context_length")
    if every and (leaks := find_leaks(train_ids, task_ids(options))):
        raise InputError(
            f"{options.tasks}: {leaks[0].train_id} and {len(leaks) - 1} others have the faults of "
            f"validation tasks of {SPLIT}; train on other tasks, or set --validation-every 0"
        )


def require_rooms(options: argparse.Namespace, codec: ChatCodec) -> None:
    """Refuse lengths in which no episode can succeed, of the training's or of validation's.

    Before anything begins: the first would train on nothing, the second show 0 each time. Raises
    InputError.
    """
    lengths = {"grpo.context_length (--context-length)": options.context_length}
    if options.validation_every:
        lengths["evaluation.context_length"] = options.validation_context_length
    for option, length in lengths.items():
        require_room(codec, options.prompt, length, option)
    if "response_length" in options:  # slime's
        option = "grpo.response_length (--response-length)"
        require_room(codec, options.prompt, options.response_length, option, after_prompt=True)


def task_ids(options: argparse.Namespace) -> list[str]:
    """The tasks that are played each time: drawn by hash, each issue in proportion."""
    return draw(split_ids(SPLIT), options.validation_tasks)


def as_evaluation(options: argparse.Namespace) -> argparse.Namespace:
    """The options of a training as those of the evaluation that validates it."""
    limits = {name: getattr(options, f"{PREFIX}{name}") for name in LIMITS}
    return argparse.Namespace(**{**vars(options), **limits, "temperature": 0.0})


def make_validator(options: argparse.Namespace, users: Users, folder: Path) -> Validator:
    """The validator of a training in this process. users: the training's own, opened."""
    return Validator(as_evaluation(options), task_ids(options), users.beside(), folder)


class Validator:
    """Validates one training and writes its curve.

    args: of an evaluation, see `as_evaluation`. tasks: their ids. users: who asks, with a failure
    count of their own (`Users.beside`). folder: the training's store. digest: of all that, if it is
    known already.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        tasks: Sequence[str],
        users: Users,
        folder: Path,
        digest: str = "",
    ) -> None:
        self.args, self.tasks, self.folder = args, list(tasks), folder
        self.every, self.rollouts = args.validation_every, args.rollouts
        self.settings = make_settings(args, users)
        self.digest = digest or self._digest()

    @property
    def jobs(self) -> list[tuple[Any, int]]:
        """What is played: (task, trial)."""
        return [(get_task(task_id), 0) for task_id in self.tasks]

    def is_missing(self, rollout: int) -> bool:
        """Whether the policy after so many rollouts is to be validated, and was not yet."""
        done = {row.rollout for row in read_validation(self.folder)}
        return is_due(rollout, self.every, self.rollouts) and rollout not in done

    async def play(self, policy: Any, codec: Any, rollout: int) -> Validation:
        """Play the tasks with the policy after so many rollouts; write the row, and return it.

        Raises JobStop, as an evaluation does.
        """
        rows: list[EpisodeRow] = []
        began = time.monotonic()
        await play_all(
            self.jobs, policy, codec, self.settings, self.args, lambda row, _: rows.append(row)
        )
        return self.write(rows, rollout, time.monotonic() - began)

    def write(self, rows: Sequence[EpisodeRow], rollout: int, seconds: float) -> Validation:
        """Write the row of the policy after so many rollouts, from its episodes; return it."""
        row = summary(rows, rollout, seconds, self.digest)
        append_validation(self.folder, row)
        return row

    def _digest(self) -> str:
        settings = self.settings
        played = {
            "tasks": self.tasks,
            "seed": self.args.seed,
            "prompt": settings.prompt,
            "sampling": asdict(settings.sampling),
            "limits": asdict(settings.limits),
            "context_length": settings.context_length,
            "weights": list(self.args.weights),
            **settings.users.fingerprint(),
        }
        return hashlib.sha256(json.dumps(played, sort_keys=True).encode()).hexdigest()[:12]


def summary(
    rows: Sequence[EpisodeRow], rollout: int, seconds: float, settings: str = ""
) -> Validation:
    """The row of one validation, from its episodes."""
    counted = [row for row in rows if not row.excluded]

    def mean(values: list[float]) -> float | None:
        return fmean(values) if values else None

    by_issue: dict[str, list[bool]] = {}
    for row in counted:
        by_issue.setdefault(faults(row.task_id)[0], []).append(row.solved)

    return Validation(
        rollout=rollout,
        tasks=len(rows),
        excluded=len(rows) - len(counted),
        pass_at_1=mean([float(row.solved) for row in counted]),
        avg_reward=mean([row.reward for row in counted]),
        avg_partial_score=mean([row.partial for row in counted]),
        by_issue={issue: (sum(of), len(of)) for issue, of in sorted(by_issue.items())},
        ends=dict(Counter(row.end.value for row in rows).most_common()),
        seconds=round(seconds, 1),
        settings=settings,
    )
