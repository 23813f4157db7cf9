"""What a job wants from the machine that it runs on: how much memory and disk that is at least, and
how a check says what it found.

Elsewhere: what the machine has (host.py), and whether that is enough (checks.py).
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tau2_agent.training.megatron.model_args import FAMILIES, read_config
from tau2_agent.training.megatron.model_size import parameter_count, parameters_on_a_gpu

GIB = 2**30
# Bytes a weight takes in Megatron: bf16 weights, fp32 gradients, and Adam's three fp32 copies.
ADAM_BYTES = 12
TRAINING_BYTES = 2 + 4 + ADAM_BYTES
CHECKPOINT_BYTES = 2 + 12  # torch_dist with optimizer
WEIGHTS_BYTES = 2  # bf16, in a checkpoint without optimizer and in a Hugging Face folder
LOGIT_COPIES_BYTES = 16  # a token and a word of the vocabulary: bf16, fp32, softmax, gradient
OVERHEAD_GIB = 3.0  # CUDA context, NCCL, kernels


class Finding(NamedTuple):
    """What one check found. level: "ok", "warning" or "failure"."""

    level: str
    check: str
    text: str


@dataclass(frozen=True)
class Requirements:
    """What a job, or a whole run, wants from the machine that it runs on.

    gpus: on each of `nodes`. max_tokens_per_gpu: 0 for jobs that do not train. stores: training
    folders that are still to be filled, some perhaps half full. model: Hugging Face folder, perhaps
    not there yet; source: its hub id. context_length: longest text in tokens; sample_length: of
    those that are trained on. data: JSON-lines files. port: of a server that somebody else started.
    megatron: whether slime's and Megatron's sources are used; an evaluation needs neither.
    extra_args, convert_args, server_args: the user's own, of trainings, conversion and server.
    """

    backend: str
    gpus: int = 0
    nodes: int = 1
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    context_parallel: int = 1
    expert_parallel: int = 1
    max_tokens_per_gpu: int = 0
    keep_checkpoints: int = 2
    optimizer_offload: bool = False
    saves_optimizer: bool = True
    stores: tuple[Path, ...] = ()
    model: Path | None = None
    source: str | None = None
    context_length: int = 0
    sample_length: int = 0
    data: tuple[Path, ...] = ()
    port: int | None = None
    megatron: bool = True
    extra_args: tuple[str, ...] = ()
    convert_args: tuple[str, ...] = ()
    server_args: tuple[str, ...] = ()

    def config(self) -> dict[str, Any] | None:
        """The model's config.json, None while the model is not there."""
        return read_config(self.model) if self.model and self.model.is_dir() else None

    def weights(self) -> float | None:
        """Number of weights: counted, or told by a name such as Qwen3-4B, or None."""
        config = self.config()
        if config is not None and config.get("model_type") in FAMILIES:
            return float(parameter_count(config))
        match = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])", self.source or "")
        return float(match[1]) * 1e9 if match else None


def hardware(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of Requirements that options about the machine have under the same names."""
    names = (
        "gpus nodes tensor_parallel pipeline_parallel context_parallel expert_parallel "
        "max_tokens_per_gpu keep_checkpoints optimizer_offload"
    )
    extra = tuple(shlex.split(options.extra_args))
    return {
        **{name: getattr(options, name) for name in names.split()},
        "saves_optimizer": "--no-save-optim" not in extra,
        "extra_args": extra,
    }


def training_needs(
    options: argparse.Namespace, store: Path, data: Sequence[Path], context_length: int
) -> Requirements:
    """What a training program of the slime backend wants, from its own flags.

    store: the folder that it will fill. context_length: its longest text in tokens.
    """
    return Requirements(
        backend="slime",
        **hardware(options),
        stores=(store,),
        model=options.model,
        data=tuple(data),
        context_length=context_length,
        sample_length=context_length,
    )


def memory_gib(job: Requirements, config: dict[str, Any]) -> float:
    """GiB that training surely takes on each GPU: weights, gradients, Adam, logits of one batch.

    Adam's states are shared by all GPUs (Megatron's distributed optimizer). A micro batch holds
    `max_tokens_per_gpu`, or one sample that is longer.
    """
    held = sum(
        parameters_on_a_gpu(
            config,
            tensor=job.tensor_parallel,
            pipeline=job.pipeline_parallel,
            expert=job.expert_parallel,
        )
    )
    state = held * (TRAINING_BYTES - ADAM_BYTES)
    if not job.optimizer_offload:
        state += parameter_count(config) * ADAM_BYTES / (job.gpus * job.nodes)
    tokens = max(job.max_tokens_per_gpu, job.sample_length / job.context_parallel)
    logits = tokens * config["vocab_size"] * LOGIT_COPIES_BYTES / job.tensor_parallel
    return (state + logits) / GIB + OVERHEAD_GIB


def store_bytes(job: Requirements, weights: float) -> float:
    """Bytes of one training store at its fullest: the kept checkpoints, one more while it is
    written, and three Hugging Face exports: the last two, and the best on validation."""
    if job.backend != "slime":
        return weights * 4 * 3 * (job.keep_checkpoints + 2)  # fp32 weights and two moments
    one = CHECKPOINT_BYTES if job.saves_optimizer else WEIGHTS_BYTES
    return weights * (one * (job.keep_checkpoints + 1) + 3 * WEIGHTS_BYTES)
