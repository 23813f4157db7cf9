"""GRPO on tau2 telecom, on GPUs, with slime.

It begins with the SFT stage's weights, a fresh optimizer and rollout 0, or resumes its own run; the
job's log is read, and anything else than the one that was meant ends the job at once. Training and
sampling take turns on the same GPUs. Episodes, groups and rewards are the hooks in
generate_with_tau.py, tau2_agent/training/slime/grpo_rollout.py and tau2_reward_shaping.py.

More `--rollouts` resume a finished training whose learning rate is constant; one that decays ends
with its rollouts, so another number of them is another training.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tau2_agent import cli
from tau2_agent.benchmark.data_files import data_sha256
from tau2_agent.config import program_options as settings
from tau2_agent.errors import InputError
from tau2_agent.evaluation import validation
from tau2_agent.files import write_text
from tau2_agent.gpus import take_gpus
from tau2_agent.preflight import checks as preflight
from tau2_agent.preflight.requirements import training_needs
from tau2_agent.records.samples import TRANSCRIPTS
from tau2_agent.source_code import code_digest
from tau2_agent.training import objective, optimizer
from tau2_agent.training.fingerprint import fingerprint
from tau2_agent.training.megatron.checkpoints import require_weights
from tau2_agent.training.megatron.model_args import is_moe, model_arguments, read_config
from tau2_agent.training.resumable import Stage
from tau2_agent.training.slime import arguments as slime_command
from tau2_agent.training.slime import user_arguments
from tau2_agent.training.slime.install import Install, find_install
from tau2_agent.training.slime.log import drop_rows_from
from tau2_agent.training.slime.marked_processes import sweep
from tau2_agent.training.slime.ray_nodes import require_allocation
from tau2_agent.training.slime.trainer import Training, last_rollout
from tau2_agent.training.slime.user_arguments import (
    extra_arguments,
    refuse_replaced,
    refuse_top_p,
    without_custom_config,
)
from tau2_agent.training.task_order import require_enough
from tau2_agent.training.trained_for import TrainedFor, write_record
from tau2_agent.users import registry as users

ROLLOUTS = "rollouts.jsonl"
USER_CALLS = "user_calls.jsonl"
EPISODE_TIMEOUT_S = 900.0


def hook_settings(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return what slime hands to our hooks as attributes of its arguments, and the user's own."""
    _, users_own = without_custom_config(extra_arguments(options))
    return {
        **users_own,
        "tau2_prompt": options.prompt,
        "tau2_users": users.to_settings(users.from_options(options, options.seed)),
        "tau2_user_calls": str(folder / USER_CALLS),
        "tau2_alpha": options.alpha,
        "tau2_partial_weights": ",".join(map(str, options.weights)),
        "tau2_max_new_tokens": options.max_new_tokens,
        "tau2_max_steps": options.max_steps,
        "tau2_repeat_limit": options.repeat_limit,
        "tau2_repeat_penalty": options.repeat_penalty,
        "tau2_episode_timeout_s": EPISODE_TIMEOUT_S,
        "tau2_tasks_path": str(options.tasks.resolve()),
        "tau2_resampled_groups": options.max_resampled_groups * options.dynamic_sampling,
        "tau2_over_sampling_groups": options.over_sampling_groups,
        "tau2_group_order": options.group_order,
        "tau2_curriculum": options.curriculum,
        "tau2_issues": options.issues,
        "tau2_rollouts_path": str(folder / ROLLOUTS),
        "tau2_transcripts_path": str(folder / TRANSCRIPTS),
        "tau2_keep_episodes": options.keep_episodes,
    }


def slime_arguments(
    options: argparse.Namespace,
    *,
    config: dict[str, Any],
    folder: Path,
    hooks: Path,
    validating: Sequence[str] = (),
) -> list[str]:
    """Return slime's arguments for this stage.

    folder: where it saves and resumes. hooks: the YAML file with `hook_settings`.
    validating: the arguments on validation.
    """
    arguments = [
        *model_arguments(config),
        *slime_command.checkpoint_arguments(
            model=options.model.resolve(),
            weights=options.sft.resolve(),
            folder=folder,
            save_every=options.save_rollouts,
        ),
        # which tasks and groups a rollout has
        *("--rollout-function-path", "tau2_agent.training.slime.grpo_rollout.generate_rollout"),
        "--disable-rollout-global-dataset",
        *("--rollout-seed", str(options.seed)),
        *("--seed", str(options.seed)),
        # a rollout: its batch is one optimizer step unless --updates-per-rollout says more
        *("--num-rollout", str(options.rollouts)),
        *("--rollout-batch-size", str(options.prompts_per_rollout)),
        *("--n-samples-per-prompt", str(options.samples_per_prompt)),
        *("--num-steps-per-rollout", str(options.updates_per_rollout)),
        *("--rollout-temperature", str(options.temperature)),
        *("--rollout-max-response-len", str(options.response_length)),
        *("--rollout-max-context-len", str(options.context_length)),
        # our hooks
        *("--custom-config-path", str(hooks)),
        *("--custom-generate-function-path", "generate_with_tau.generate"),
        *("--reward-key", "shaped"),  # the logs read it before the post-process
        *objective.slime_arguments(options),
        # sampling on the same GPUs
        "--colocate",
        *("--rollout-num-gpus-per-engine", str(options.gpus_per_engine)),
        *("--sglang-mem-fraction-static", str(options.sglang_mem_fraction)),
        # all turns of an episode go to the engine that has its prefix in the cache, new episodes to
        # the engine with the fewest requests; PyPI's router and slime's fork of it both know this
        *("--router-policy", "manual"),
        *("--router-assignment-mode", "min_load"),
        *optimizer.slime_arguments(
            lr=options.lr,
            schedule=options.lr_schedule,
            weight_decay=options.weight_decay,
            beta2=options.adam_beta2,
        ),
        *slime_command.parallel_arguments(options, config),
    ]
    if options.gpus * options.nodes > options.gpus_per_engine:
        arguments += slime_command.fault_tolerance_arguments()
    if is_moe(config):
        # else the trained probabilities would be those of other experts than were sampled with
        arguments.append("--use-rollout-routing-replay")
    arguments += validating
    extra, _ = without_custom_config(extra_arguments(options))
    return [*arguments, *slime_command.tracking_arguments(options, "grpo"), *extra]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--sft", type=Path, required=True, help="checkpoint to start from")
    parser.add_argument("--tasks", type=Path, required=True, help="task file (tau2_mock.py)")
    parser.add_argument("--output", type=Path, required=True, help="checkpoint to make")
    settings.add(parser, "prompt seed grpo.save_rollouts grpo.keep_episodes", "slime")
    settings.add(
        parser.add_argument_group("rollouts"),
        "grpo.rollouts grpo.prompts_per_rollout grpo.samples_per_prompt grpo.temperature"
        " grpo.response_length grpo.max_new_tokens grpo.context_length grpo.max_steps"
        " grpo.repeat_limit grpo.dynamic_sampling grpo.max_resampled_groups"
        " grpo.over_sampling_groups grpo.group_order grpo.curriculum grpo.issues",
        "slime",
    )
    reward = parser.add_argument_group("reward")
    settings.add(reward, "reward.alpha grpo.repeat_penalty grpo.scale_by_group_std", "slime")
    settings.add_partial_weights(reward)
    settings.add(
        parser.add_argument_group("optimisation"),
        "grpo.lr grpo.lr_schedule grpo.weight_decay grpo.adam_beta2 grpo.updates_per_rollout"
        " grpo.loss_weighting grpo.clip_low grpo.clip_high grpo.kl_coef",
        "slime",
    )
    settings.add(
        parser.add_argument_group("sampling"),
        "slime.gpus_per_engine slime.sglang_mem_fraction",
        "slime",
    )
    validation.add_flags(parser, "slime")
    settings.add_user(parser, trains=True)
    settings.add_slime_machine(parser)
    return parser.parse_args(arguments)


def check(options: argparse.Namespace, tasks: int) -> None:
    """What slime would only find out after minutes, or never. Raises InputError."""
    episodes = options.prompts_per_rollout * options.samples_per_prompt
    if episodes % options.updates_per_rollout:
        raise InputError(
            f"--updates-per-rollout {options.updates_per_rollout} does not divide the {episodes} "
            "episodes of a rollout (--prompts-per-rollout × --samples-per-prompt)"
        )
    replicas = slime_command.data_parallel(options)
    if episodes // options.updates_per_rollout % replicas:
        raise InputError(
            f"{episodes // options.updates_per_rollout} episodes an update cannot be shared by "
            f"{replicas} replicas (--gpus × --nodes / parallel sizes); change one of them"
        )
    resampled = options.max_resampled_groups * options.dynamic_sampling
    if options.over_sampling_groups > resampled:
        raise InputError(
            f"--over-sampling-groups {options.over_sampling_groups} is more than the {resampled} "
            "groups that may be played beside a rollout's own (--max-resampled-groups with "
            "--dynamic-sampling); lower it"
        )
    words, custom_config = without_custom_config(extra_arguments(options))
    refuse_top_p(words, custom_config)
    refuse_replaced(words)
    require_enough(tasks, options.prompts_per_rollout)
    if not options.ray_address:
        require_allocation(options.nodes)
    require_weights(options.sft)


def train(options: argparse.Namespace, install: Install, stage: Stage) -> None:
    from tau2_agent.benchmark.tasks import read_task_file
    from tau2_agent.evaluation.validation_slime import SlimeValidation
    from tau2_agent.rollout.chat_template import ChatCodec
    from tau2_agent.rollout.loading import load_tokenizer
    from tau2_agent.rollout.model_folder import require_positions

    require_positions(options.model, options.context_length, "--context-length")
    validation.require_rooms(options, ChatCodec(load_tokenizer(options.model)))
    sweep(str(stage.folder.resolve()))  # what a killed job left would hold GPU memory
    wanted = training_needs(options, stage.folder, [options.tasks], options.context_length)
    if options.nodes == 1 and not options.ray_address:
        take_gpus(options.gpus)
    preflight.require(wanted, install)
    tasks = read_task_file(options.tasks)
    check(options, len(tasks))
    validation.check(options, [task.task_id for task in tasks])
    done = last_rollout(stage, options.rollouts)
    folder = stage.folder.resolve()
    trained = 0 if done is None else done + 1
    validating = SlimeValidation(options, folder, trained, folder / USER_CALLS)
    hooks = folder / "tau2.yaml"
    told = hook_settings(options, folder) | validating.settings()
    write_text(hooks, yaml.safe_dump(told, sort_keys=False))
    training = Training(
        install,
        options,
        slime_arguments(
            options,
            config=read_config(options.model),
            folder=folder,
            hooks=hooks,
            validating=validating.arguments(),
        ),
        weights=options.sft.resolve(),
        rollouts=options.rollouts,
        updates_per_rollout=options.updates_per_rollout,
        done=done,
        engines=not options.ray_address,  # of another Ray they may be elsewhere
        checkpoint=options.checkpoint,
        validate=validating,
    )
    drop_rows_from(folder / ROLLOUTS, trained)
    summary = training.run(stage, sys.executable)
    if not stage.stop_requested:
        asked = users.from_options(options, options.seed)
        usage = asked.usage(stage.folder / USER_CALLS)
        record = TrainedFor(
            stage="grpo",
            prompt=options.prompt,
            user=asked.fingerprint(),
            max_new_tokens=options.max_new_tokens,
            context_length=options.context_length,
            max_steps=options.max_steps,
            checkpoint=options.checkpoint,
            rollout=summary["taken"]["rollout"],
            code=code_digest("train_grpo_slime"),
        )
        write_record(stage.folder, record)
        stage.finish({"stage": "grpo", **summary, "user_usage": usage})


def fingerprint_fields(options: argparse.Namespace) -> dict[str, Any]:
    """All options that decide the weights."""
    names = (
        "prompt seed prompts_per_rollout samples_per_prompt temperature response_length "
        "max_new_tokens context_length max_steps repeat_limit repeat_penalty dynamic_sampling "
        "max_resampled_groups over_sampling_groups group_order curriculum issues "
        "alpha weights scale_by_group_std lr lr_schedule weight_decay adam_beta2 "
        "updates_per_rollout loss_weighting clip_low clip_high kl_coef"
    )
    if options.lr_schedule != "constant":  # else more rollouts resume where the fewer ended
        names += " rollouts"
    extra, custom_config = without_custom_config(extra_arguments(options))
    return {
        "backend": "slime",
        **{name: getattr(options, name) for name in names.split()},
        **users.from_options(options, options.seed).fingerprint(),
        "extra": user_arguments.fingerprint_fields(extra),
        "custom_config": custom_config,
    }


def main() -> int:
    options = parse()
    install = find_install()
    mark = fingerprint(
        {"sft": options.sft, "tasks": options.tasks},
        {"data": data_sha256(), **fingerprint_fields(options)},
        code=code_digest("train_grpo_slime"),
    )
    wanted = {"rollouts": options.rollouts, "checkpoint": options.checkpoint}
    with Stage(options.output, mark, wanted) as stage:
        if not stage.finished:
            train(options, install, stage)
    return 0


if __name__ == "__main__":
    cli.run(main)
