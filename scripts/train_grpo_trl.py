"""GRPO on tau2 telecom, on the CPU, with TRL's GRPOTrainer.

Episodes come from the same loop as everything else, through TRL's rollout hook: TRL gets the token
ids and log probs as sampled, and an environment mask that leaves the loss on sampled tokens only.
What is optimised stands in tau2_agent/training/objective.py. An episode that an infrastructure
failure or the clock ended is played again; if that fails too it gets no reward and no gradient. A
spent budget, a refused key, too many failures of the user simulator, or rollouts that train nothing
stop the job; the same command resumes it.

It starts from the SFT checkpoint with a fresh optimizer, or resumes its own training, and says
which. More `--rollouts` resume a finished training whose learning rate is constant; one that decays
ends with its rollouts, so another number of them is another training.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.benchmark.data_files import data_sha256
from tau2_agent.config import program_options as settings
from tau2_agent.errors import InputError
from tau2_agent.evaluation import validation
from tau2_agent.records.progress import Progress
from tau2_agent.records.validation import choice, chosen_rollout, cut_validation
from tau2_agent.source_code import code_digest
from tau2_agent.training import objective, optimizer
from tau2_agent.training.fingerprint import fingerprint
from tau2_agent.training.resumable import Stage
from tau2_agent.training.trained_for import TrainedFor
from tau2_agent.users import registry as users

# Options that do not decide what is trained: the paths' content is in the fingerprint by itself.
NOT_DECISIVE = {
    *("model", "tasks", "output", "rollouts"),
    *("save_rollouts", "keep_checkpoints", "keep_episodes"),
}


def shaped(completions, shaped, **columns):
    """The reward that is optimised, for TRL's log. None: the episode was not scored."""
    return shaped


def official(completions, official, **columns):
    """tau2's own reward, logged with weight 0."""
    return official


def partial(completions, partial, **columns):
    """The partial score, logged with weight 0."""
    return partial


def train(args, stage: Stage) -> None:
    from datasets import Dataset
    from trl import GRPOConfig

    from tau2_agent.benchmark.tasks import read_task_file
    from tau2_agent.evaluation.validation_trl import ValidationCallback
    from tau2_agent.processes import compute_with_avx2, keep_freed_memory
    from tau2_agent.rollout.chat_template import ChatCodec
    from tau2_agent.rollout.loading import load_model, load_tokenizer
    from tau2_agent.rollout.model_folder import require_model, require_positions
    from tau2_agent.training.trl import (
        cut_metrics,
        finish,
        last_checkpoint,
        load_checkpoint,
        run,
        silence_progress,
    )
    from tau2_agent.training.trl_grpo import ObjectiveTrainer
    from tau2_agent.training.trl_rollouts import ROLLOUTS, USER_CALLS, Rollouts, batch_size

    require_model(args.model)
    require_positions(args.model, args.context_length, "--context-length")
    silence_progress()
    keep_freed_memory()
    compute_with_avx2()
    tokenizer = load_tokenizer(args.model)
    codec = ChatCodec(tokenizer)
    validation.require_rooms(args, codec)
    checkpoint = last_checkpoint(stage.folder)
    step = int(checkpoint.name[11:]) if checkpoint else 0
    if step > args.rollouts:
        stage.set_aside(f"it has {step} rollouts, {args.rollouts} are asked for")
        checkpoint, step = None, 0
    cut_metrics(stage.folder, step)
    cut_metrics(stage.folder, step - 1, ROLLOUTS)  # a rollout is numbered by the step it precedes
    cut_validation(stage.folder, step)

    task_ids = [row.task_id for row in read_task_file(args.tasks)]
    validation.check(args, task_ids)
    batch = batch_size(args)
    if batch % args.micro_batch_size:
        raise InputError(
            f"grpo.micro_batch_size {args.micro_batch_size} does not divide prompts_per_rollout x "
            f"samples_per_prompt = {batch}"
        )
    config = GRPOConfig(
        output_dir=str(stage.folder),
        max_steps=args.rollouts,
        num_generations=args.samples_per_prompt,
        shuffle_dataset=False,
        per_device_train_batch_size=args.micro_batch_size,
        gradient_accumulation_steps=batch // args.micro_batch_size,  # one optimizer step a rollout
        max_completion_length=args.context_length,
        **objective.trl_arguments(args),
        **optimizer.trl_arguments(
            lr=args.lr,
            schedule=args.lr_schedule,
            weight_decay=args.weight_decay,
            beta2=args.adam_beta2,
        ),
        reward_weights=[1.0, 0.0, 0.0],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_steps=args.save_rollouts,
        # the best on validation is kept beside the newest
        save_total_limit=args.keep_checkpoints + bool(args.validation_every),
        logging_steps=1,
        logging_nan_inf_filter=False,  # a NaN must be seen: StageCallback ends the training
        report_to=[],
        disable_tqdm=True,
        seed=args.seed,
    )
    progress = Progress(f"grpo {args.output}", args.rollouts, step, "rollouts", says=False)
    rollouts = Rollouts(args, codec, stage.folder, progress, task_ids)
    validator = validation.make_validator(args, rollouts.settings.users, stage.folder)
    validate = ValidationCallback(validator, codec, stage, progress)
    trainer = ObjectiveTrainer(
        model=load_model(args.model),
        args=config,
        processing_class=tokenizer,
        reward_funcs=[shaped, official, partial],
        # Places in the batch: `Rollouts` chooses the task of each.
        train_dataset=Dataset.from_dict(
            {"prompt": [f"group {number}" for number in range(args.prompts_per_rollout)]}
        ),
        rollout_func=rollouts,
    )
    origin = f"resumed its own run at rollout {step}" if checkpoint else f"from {args.model}"
    print(f"{args.rollouts} rollouts of {batch} episodes on {len(task_ids)} tasks; {origin}")
    began = time.time()
    if step < args.rollouts:
        run(stage, trainer, checkpoint, progress, validate)
    elif validator.is_missing(step):
        validate.validate(load_checkpoint(stage.folder, step), step)
    if not stage.stop_requested:
        taken = chosen_rollout(stage.folder, args.checkpoint, args.rollouts)
        here = step < taken == args.rollouts  # the trainer has them
        finish(
            stage,
            trainer,
            tokenizer,
            {
                "stage": "grpo",
                "steps": args.rollouts,
                "resumed_at": step,
                "seconds": round(time.time() - began, 1),
                "started_from": str(args.model),
                "taken": choice(stage.folder, args.checkpoint, taken, args.rollouts),
                "user_usage": rollouts.settings.users.usage(stage.folder / USER_CALLS),
            },
            TrainedFor(
                stage="grpo",
                prompt=args.prompt,
                user=users.from_options(args, args.seed).fingerprint(),
                max_new_tokens=args.max_new_tokens,
                context_length=args.context_length,
                max_steps=args.max_steps,
                checkpoint=args.checkpoint,
                rollout=taken,
                code=code_digest("train_grpo_trl"),
            ),
            None if here else load_checkpoint(stage.folder, taken),
        )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="SFT checkpoint to start from")
    parser.add_argument("--tasks", type=Path, required=True, help="task file to draw prompts from")
    parser.add_argument("--output", type=Path, required=True, help="checkpoint to make")
    settings.add(parser, "prompt seed", "cpu")
    settings.add(
        parser.add_argument_group("rollouts"),
        "grpo.rollouts grpo.prompts_per_rollout grpo.samples_per_prompt grpo.micro_batch_size"
        " grpo.temperature grpo.context_length grpo.max_new_tokens grpo.max_steps"
        " grpo.repeat_limit grpo.dynamic_sampling grpo.max_resampled_groups grpo.curriculum"
        " grpo.issues",
        "cpu",
    )
    reward = parser.add_argument_group("reward")
    settings.add(reward, "reward.alpha grpo.repeat_penalty grpo.scale_by_group_std", "cpu")
    settings.add_partial_weights(reward)
    settings.add(
        parser.add_argument_group("optimisation"),
        "grpo.lr grpo.lr_schedule grpo.weight_decay grpo.adam_beta2 grpo.loss_weighting"
        " grpo.kl_coef grpo.clip_low grpo.clip_high",
        "cpu",
    )
    records = parser.add_argument_group("records")
    settings.add(records, "grpo.save_rollouts grpo.keep_episodes resources.keep_checkpoints", "cpu")
    validation.add_flags(parser, "cpu")
    settings.add_user(parser, trains=True)
    return parser.parse_args(arguments)


def fingerprint_fields(args) -> dict[str, Any]:
    """All options that decide the weights, in the order of --help."""
    decides = {
        key: value
        for key, value in vars(args).items()
        if key not in NOT_DECISIVE
        and not key.startswith("user_")
        and not validation.is_validation_flag(key)
    }
    decides |= users.from_options(args, args.seed).fingerprint()
    if args.lr_schedule != "constant":  # else more rollouts resume the same training
        decides["rollouts"] = args.rollouts
    return decides


def main() -> int:
    args = parse()
    mark = fingerprint(
        {"model": args.model, "tasks": args.tasks},
        {"data": data_sha256(), **fingerprint_fields(args)},
        code=code_digest("train_grpo_trl"),
    )
    wanted = {"rollouts": args.rollouts, "checkpoint": args.checkpoint}
    with Stage(args.output, mark, wanted) as stage:
        if not stage.finished:
            train(args, stage)
    return 0


if __name__ == "__main__":
    cli.run(main)
