"""Supervised fine-tuning on traces, on GPUs, with slime.

The episode's own codec turns the traces into tokens and loss masks, once and before a GPU is
touched; slime takes them as they are (tau2_agent/training/slime/sft_rollout.py). Traces that a
model sampled keep its tokens. The loss is on what the agent wrote after the greeting.

Interrupted, it resumes from its last whole checkpoint when the same command runs again. The
finished folder is both: Megatron checkpoint for GRPO, Hugging Face model for everything else.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.config import program_options as settings
from tau2_agent.errors import InputError
from tau2_agent.files import write_jsonl
from tau2_agent.gpus import take_gpus
from tau2_agent.preflight import checks as preflight
from tau2_agent.preflight.requirements import training_needs
from tau2_agent.source_code import code_digest
from tau2_agent.training import optimizer
from tau2_agent.training.fingerprint import fingerprint
from tau2_agent.training.megatron.checkpoints import require_weights
from tau2_agent.training.megatron.model_args import model_arguments, read_config
from tau2_agent.training.resumable import Stage
from tau2_agent.training.slime import arguments as slime_command
from tau2_agent.training.slime.install import Install, find_install
from tau2_agent.training.slime.marked_processes import sweep
from tau2_agent.training.slime.ray_nodes import require_allocation
from tau2_agent.training.slime.sft_rollout import prompt_rows
from tau2_agent.training.slime.trainer import Training, last_rollout
from tau2_agent.training.slime.user_arguments import extra_arguments, fingerprint_fields
from tau2_agent.training.trained_for import TrainedFor, write_record


def slime_arguments(
    options: argparse.Namespace, *, config: dict[str, Any], folder: Path, data: Path, steps: int
) -> list[str]:
    """Return slime's arguments for this stage.

    folder: where it saves and resumes. data: the traces as tokens. steps: one rollout each.
    """
    return [
        *model_arguments(config),
        *slime_command.checkpoint_arguments(
            model=options.model.resolve(),
            weights=options.base.resolve(),
            folder=folder,
            save_every=options.save_steps,
        ),
        # the loss: without --loss-type, slime's default is a policy gradient with reward 0
        *("--loss-type", "sft_loss"),
        "--calculate-per-token-loss",
        "--disable-compute-advantages-and-returns",
        # the data: tokens and loss masks, which our function hands on
        *("--rollout-function-path", "tau2_agent.training.slime.sft_rollout.generate_rollout"),
        *("--prompt-data", str(data)),
        *("--input-key", "index"),
        "--rollout-shuffle",
        *("--rollout-seed", str(options.seed)),
        *("--seed", str(options.seed)),
        *("--num-rollout", str(steps)),
        *("--rollout-batch-size", str(options.batch_size)),
        *("--n-samples-per-prompt", "1"),
        *("--global-batch-size", str(options.batch_size)),
        # nothing is cut: slime only compares with it in a metric, which fails without
        *("--rollout-max-response-len", str(options.max_length)),
        "--log-multi-turn",
        # no GPU is held for sampling, and no server starts
        "--debug-train-only",
        *optimizer.slime_arguments(
            lr=options.lr,
            schedule="cosine",
            warmup=options.warmup_ratio,
            weight_decay=options.weight_decay,
            beta2=options.adam_beta2,
        ),
        *slime_command.parallel_arguments(options, config),
        *slime_command.tracking_arguments(options, "sft"),
        *extra_arguments(options),
    ]


def count_steps(options: argparse.Namespace, traces: int) -> int:
    """Optimizer steps in all, from --steps or --epochs."""
    if options.steps is not None:
        return options.steps
    return math.ceil(traces / options.batch_size) * options.epochs


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--base", type=Path, required=True, help="the same model in torch_dist")
    parser.add_argument(
        "--traces", type=Path, nargs="+", required=True, help="trace files, learnt from together"
    )
    parser.add_argument("--output", type=Path, required=True, help="checkpoint to make")
    settings.add(parser, "prompt sft.max_length seed sft.save_steps", "slime")
    optimisation = parser.add_argument_group("optimisation")
    settings.add(
        optimisation,
        "sft.lr sft.batch_size sft.warmup_ratio sft.weight_decay sft.adam_beta2",
        "slime",
    )
    length = optimisation.add_mutually_exclusive_group()
    settings.add(length, "sft.steps sft.epochs", "slime")
    settings.add_slime_machine(parser)
    options = parser.parse_args(arguments)
    if options.epochs is not None:
        options.steps = None
    return options


def check(options: argparse.Namespace, traces: int) -> None:
    """What slime would only find out after minutes, or never. Raises InputError."""
    replicas = slime_command.data_parallel(options)
    if options.batch_size % replicas:
        raise InputError(
            f"--batch-size {options.batch_size} cannot be shared by {replicas} replicas "
            "(--gpus × --nodes / parallel sizes); make it a multiple"
        )
    if traces < options.batch_size:
        files = " and ".join(map(str, options.traces))
        raise InputError(
            f"{files} has {traces} traces, --batch-size is {options.batch_size}; lower it"
        )
    if not options.ray_address:
        require_allocation(options.nodes)
    require_weights(options.base)


def train(options: argparse.Namespace, install: Install, stage: Stage) -> None:
    from tau2_agent.rollout.chat_template import ChatCodec
    from tau2_agent.rollout.loading import load_tokenizer
    from tau2_agent.rollout.model_folder import require_positions
    from tau2_agent.training.sft_data import read_traces, token_records

    sweep(str(stage.folder.resolve()))  # what a killed job left would hold GPU memory
    wanted = training_needs(options, stage.folder, options.traces, options.max_length)
    if options.nodes == 1 and not options.ray_address:
        take_gpus(options.gpus)
    preflight.require(wanted, install)
    rows = read_traces(options.traces, options.prompt)
    check(options, len(rows))
    codec = ChatCodec(load_tokenizer(options.model))
    records = token_records(rows, codec, options.max_length)
    require_positions(options.model, max(len(r.ids) for r in records), "a trace's length")
    steps = count_steps(options, len(rows))
    done = last_rollout(stage, steps)
    folder = stage.folder.resolve()
    data = folder / "tokens.jsonl"
    write_jsonl(data, prompt_rows([row["task_id"] for row in rows], records))
    lengths = [len(record.ids) for record in records]
    trained = sum(sum(record.loss_mask) for record in records)
    print(
        f"{len(rows)} traces of {min(lengths)} to {max(lengths)} tokens, {sum(lengths)} in all, "
        f"loss on {trained} of them",
        flush=True,
    )
    arguments = slime_arguments(
        options, config=read_config(options.model), folder=folder, data=data, steps=steps
    )
    training = Training(
        install,
        options,
        arguments,
        weights=options.base.resolve(),
        rollouts=steps,
        prompts=len(rows),
        per_rollout=options.batch_size,
        done=done,
    )
    summary = training.run(stage, sys.executable)
    if not stage.stop_requested:
        code = code_digest("train_sft_slime")
        write_record(stage.folder, TrainedFor(stage="sft", prompt=options.prompt, code=code))
        stage.finish({"stage": "sft", **summary})


def main() -> int:
    options = parse()
    install = find_install()
    traces = {f"traces {number}": path for number, path in enumerate(options.traces)}
    mark = fingerprint(
        {"model": options.model, "base": options.base, **traces},
        {
            "backend": "slime",
            "prompt": options.prompt,
            "seed": options.seed,
            "lr": options.lr,
            "steps": options.steps,  # the cosine ends with them: another number is another run
            "epochs": options.epochs,
            "batch_size": options.batch_size,
            "warmup_ratio": options.warmup_ratio,
            "weight_decay": options.weight_decay,
            "adam_beta2": options.adam_beta2,
            "extra": fingerprint_fields(extra_arguments(options)),
        },
        code=code_digest("train_sft_slime"),
    )
    with Stage(options.output, mark) as stage:
        if not stage.finished:
            train(options, install, stage)
    return 0


if __name__ == "__main__":
    cli.run(main)
