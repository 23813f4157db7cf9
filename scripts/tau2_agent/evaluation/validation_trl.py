"""Validation in TRL's trainer: a callback."""

from __future__ import annotations

import asyncio
from typing import Any

from transformers import TrainerCallback

from tau2_agent.evaluation.validation import Validator
from tau2_agent.inference.transformers_policy import LocalPolicy
from tau2_agent.records.progress import Progress
from tau2_agent.records.validation import best_of, read_validation
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.training.resumable import Stage


class ValidationCallback(TrainerCallback):
    """Validates at the start, if that is not done yet, and after each rollout that it is due at.

    The weights are those that the trainer saves right after it: a checkpoint never lacks its row.
    The trainer is told which checkpoint is the best, so that it keeps that one.
    """

    def __init__(
        self, validator: Validator, codec: ChatCodec, stage: Stage, progress: Progress
    ) -> None:
        self.validator, self.codec, self.stage = validator, codec, stage
        self.progress = progress

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.validate(model, state.global_step)
        self._keep_best(state)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.validate(model, state.global_step)
        self._keep_best(state)

    def validate(self, model: Any, rollout: int) -> None:
        """Validate the model after so many rollouts, if that is missing and nobody is waiting."""
        if self.stage.stop_requested or not self.validator.is_missing(rollout):
            return
        args = self.validator.args
        policy = LocalPolicy(model, self.codec.stop_ids, seed=args.seed, max_batch=args.concurrency)
        training = model.training
        model.eval()
        try:
            row = asyncio.run(self.validator.play(policy, self.codec, rollout))
        finally:
            model.train(training)
        self.progress.validated(row.pass_at_1)
        print(f"validation after {rollout} rollouts: {row.line()}", flush=True)

    def _keep_best(self, state: Any) -> None:
        if best := best_of(read_validation(self.validator.folder)):
            state.best_global_step = best.rollout  # looked for at the next save
            folder = self.validator.folder / f"checkpoint-{best.rollout}"
            if folder.is_dir():
                state.best_model_checkpoint = str(folder)
