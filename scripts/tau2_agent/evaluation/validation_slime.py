"""Validation in a slime job: its arguments, its hook, and a server for what a kill left out.

slime's own schedule would leave out the last rollout and add the ends of epochs. So it is told to
evaluate after each rollout (`--eval-interval 1`), and the hook, generate_with_tau.validate, returns
at once when nothing is due. slime evaluates after it has saved: a kill between the two leaves a
checkpoint without its validation, which is made good before the next job, or after the last one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tau2_agent.benchmark.tasks import read_task_file
from tau2_agent.evaluation.model_players import served_model
from tau2_agent.evaluation.validation import LIMITS, Validator, as_evaluation, task_ids
from tau2_agent.files import write_jsonl
from tau2_agent.gpus import VISIBLE
from tau2_agent.inference.sglang_client import SGLangPolicy
from tau2_agent.records.episode_row import EpisodeRow
from tau2_agent.records.validation import Validation, cut_validation, read_validation
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.trajectory import JobStop
from tau2_agent.training.slime.router import option, patience, rollout_state
from tau2_agent.users.registry import Users, from_options
from tau2_reward_shaping import PartialWeights

logger = logging.getLogger(__name__)
NAME = "validation"  # of the data in slime's own metrics
TASKS = "validation_tasks.jsonl"


class SlimeValidation:
    """Validation of one training with slime.

    folder: the store. trained: rollouts that its last checkpoint has; rows after them are dropped.
    ledger: what a language model as user has spent.
    """

    def __init__(
        self, options: argparse.Namespace, folder: Path, trained: int, ledger: Path
    ) -> None:
        self.folder, self.ledger = folder, ledger
        self.begun = any(row.rollout == 0 for row in cut_validation(folder, trained))
        users = from_options(options, options.seed)
        self.validator = Validator(as_evaluation(options), task_ids(options), users, folder)

    def settings(self) -> dict[str, Any]:
        """What the hook is told, as an attribute of slime's arguments."""
        args = self.validator.args
        names = "validation_every rollouts seed prompt temperature repeat_limit"
        return {
            "tau2_validation": {
                **{name: getattr(args, name) for name in [*names.split(), *LIMITS]},
                "weights": ",".join(map(str, args.weights)),
                "folder": str(self.folder),
                "digest": self.validator.digest,
            }
        }

    def arguments(self) -> list[str]:
        """slime's arguments. Writes the file of the tasks that they name. [] without validation."""
        if not self.validator.every:
            return []
        file = self.folder / TASKS
        rows = ({"task_id": task_id} for task_id in self.validator.tasks)
        write_jsonl(file, ({"index": n, "metadata": row} for n, row in enumerate(rows)))
        return slime_arguments(file, self.begun)

    def is_missing(self, rollout: int) -> bool:
        """Whether the policy after so many rollouts is to be validated, and was not yet."""
        return self.validator.is_missing(rollout)

    def play(self, model: Path, rollout: int) -> None:
        """Validate a Hugging Face folder. Raises what an evaluation raises."""
        from tau2_agent.rollout.loading import load_tokenizer

        print(f"{model}: its validation is missing; a server is started for it", flush=True)
        validator = self.validator
        codec = ChatCodec(load_tokenizer(model))
        validator.settings.users.open(self.ledger)
        log = self.folder / "logs" / "validation"
        log.parent.mkdir(exist_ok=True)
        more = {"checkpoint": model, "output_path": log, "sglang_port": None}
        args = argparse.Namespace(**{**vars(validator.args), **more})
        rows: list[EpisodeRow] = []
        began, visible = time.monotonic(), os.environ.get(VISIBLE)
        try:
            asyncio.run(
                served_model(
                    validator.jobs, codec, validator.settings, args, lambda row, _: rows.append(row)
                )
            )
        finally:
            if visible is None:  # the server hides all GPUs but its own from what comes after it
                os.environ.pop(VISIBLE, None)
            else:
                os.environ[VISIBLE] = visible
        row = validator.write(rows, rollout, time.monotonic() - began)
        print(f"validation after {rollout} rollouts: {row.line()}", flush=True)


def slime_arguments(tasks: Path, begun: bool) -> list[str]:
    """slime's arguments for validation. tasks: the file; begun: rollout 0 has its row already."""
    return [
        *("--eval-interval", "1"),
        *("--eval-prompt-data", NAME, str(tasks)),
        *("--eval-function-path", "generate_with_tau.validate"),
        *(["--skip-eval-before-train"] if begun else []),
    ]


def validate_in_slime(
    args: Any, rollout_id: int, simulators: Callable[[Any], Users]
) -> dict[str, Any]:
    """slime's evaluation, in its rollout process, as data for slime's own metrics.

    rollout_id: of the rollout that was trained last; 0 also before the first one. simulators: gives
    the training's users. Raises JobStop, with a line in the log that the training program looks
    for.
    """
    from slime.utils.async_utils import run

    settings = dict(args.tau2_validation)
    folder, digest = Path(settings["folder"]), settings["digest"]
    known = {row.rollout for row in read_validation(folder)}
    before = rollout_id == 0 and not args.skip_eval_before_train and 0 not in known
    trained = 0 if before else rollout_id + 1
    tasks = [row.task_id for row in read_task_file(args.eval_prompt_data[1])]
    settings["weights"] = PartialWeights.read(settings["weights"])
    own = argparse.Namespace(**settings)
    try:
        validator = Validator(own, tasks, simulators(args).beside(), folder, digest)
        if not validator.is_missing(trained):
            return {}
        row = run(_play(args, validator, trained))
    except JobStop as stop:
        logger.error("tau2 stops: %s", stop)
        raise
    logger.info("validation %s: %s", trained, row.model_dump())
    if row.avg_reward is None or option(args, "save_debug_rollout_data", None):
        return {}  # slime would save samples of its own, which there are none of
    return {NAME: {"rewards": [row.avg_reward]}}


async def _play(args: Any, validator: Validator, trained: int) -> Validation:
    codec = ChatCodec(rollout_state(args).tokenizer)
    url = f"http://{args.sglang_router_ip}:{args.sglang_router_port}"
    policy = SGLangPolicy(url, codec.stop_ids, patience_s=patience(args))
    try:
        return await validator.play(policy, codec, trained)
    finally:
        await policy.close()
