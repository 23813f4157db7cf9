"""slime's command lines: the parts that SFT and GRPO share, from flat flags of our own.

Every slime flag used here and in the two training programs was read in slime 624b824a8
(`slime/utils/arguments.py`) and Megatron-LM 1dcf0dafa (`megatron/training/arguments.py`). Golden
files under `tests/golden/` hold whole command lines. Extra arguments go last, and of two equal
flags the last one counts: so a machine's own needs override anything.

Left out on purpose: what only one stage says (its program has it), and running a job
(trainer.py).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tau2_agent.errors import InputError
from tau2_agent.training.megatron.model_args import is_moe
from tau2_agent.training.slime.install import Install

HEALTH_CHECK_S = 240  # an engine that says nothing for longer hangs
TRACKING = Path("logs")  # folder of what tensorboard and W&B write


def data_parallel(options: argparse.Namespace) -> int:
    """Return how many replicas of the model train. Raises InputError if it is not whole."""
    world = options.gpus * options.nodes
    shared = options.tensor_parallel * options.pipeline_parallel * options.context_parallel
    if world % shared:
        raise InputError(
            f"{world} GPUs cannot be shared by tensor × pipeline × context parallel = {shared}; "
            "change --gpus or one of them"
        )
    if world % (options.expert_parallel * options.pipeline_parallel):
        raise InputError(
            f"{world} GPUs cannot be shared by expert × pipeline parallel = "
            f"{options.expert_parallel} × {options.pipeline_parallel}; change one of them"
        )
    return world // shared


def checkpoint_arguments(*, model: Path, weights: Path, folder: Path, save_every: int) -> list[str]:
    """Which weights a run begins with, and where it saves and resumes.

    With an empty `folder`, slime takes the weights of `--ref-load`, a fresh optimizer and rollout
    0; with its own checkpoints there it resumes. `--load WEIGHTS` instead would go on with the
    former stage's rollouts and Adam moments; a `--load` without a tracker falls back silently.
    """
    return [
        *("--hf-checkpoint", str(model)),
        *("--ref-load", str(weights)),
        *("--load", str(folder)),
        *("--save", str(folder)),
        *("--save-interval", str(save_every)),  # without it slime never saves
        *("--save-hf", f"{folder}/hf/{{rollout_id}}"),
    ]


def parallel_arguments(options: argparse.Namespace, config: Mapping[str, Any]) -> list[str]:
    """GPUs, parallelism, precision and memory. config: the model's config.json."""
    arguments = [
        *("--actor-num-nodes", str(options.nodes)),
        *("--actor-num-gpus-per-node", str(options.gpus)),
        *("--num-gpus-per-node", str(options.gpus)),  # slime assumes 8
        *("--tensor-model-parallel-size", str(options.tensor_parallel)),
        *("--pipeline-model-parallel-size", str(options.pipeline_parallel)),
        *("--context-parallel-size", str(options.context_parallel)),
    ]
    if is_moe(config):
        arguments += ["--expert-model-parallel-size", str(options.expert_parallel)]
        arguments += ["--expert-tensor-parallel-size", "1"]  # else that of the other layers
    if options.tensor_parallel > 1:
        arguments.append("--sequence-parallel")
    if options.recompute == "full":
        arguments += ["--recompute-granularity", "full", "--recompute-method", "uniform"]
        arguments += ["--recompute-num-layers", "1"]
    if options.optimizer_offload:
        arguments += ["--optimizer-cpu-offload", "--overlap-cpu-optimizer-d2h-h2d"]
        arguments.append("--use-precision-aware-optimizer")  # Megatron demands it here
    if options.dynamic_batches:
        arguments += ["--use-dynamic-batch-size"]
        arguments += ["--max-tokens-per-gpu", str(options.max_tokens_per_gpu)]
    if data_parallel(options) > 1:
        arguments.append("--balance-data")
    return [
        *arguments,
        *("--attention-dropout", "0.0", "--hidden-dropout", "0.0"),  # Megatron's default is 0.1
        "--accumulate-allreduce-grads-in-fp32",
        "--attention-softmax-in-fp32",
        *("--attention-backend", options.attention_backend),
    ]


def fault_tolerance_arguments() -> list[str]:
    """An engine that died or hangs is taken from the router, and started again after the rollout.

    Its episodes go on with the others, which is why a single engine is not watched. A kernel that
    is compiled keeps an engine silent for two minutes; HEALTH_CHECK_S is SGLang's own limit.
    """
    return [
        "--use-fault-tolerance",
        *("--rollout-health-check-interval", "15"),
        *("--rollout-health-check-timeout", str(HEALTH_CHECK_S + 30)),
    ]


def tracking_arguments(options: argparse.Namespace, stage: str) -> list[str]:
    """TensorBoard or W&B. No key is ever an argument: W&B reads WANDB_API_KEY or `wandb login`."""
    if options.tracking == "tensorboard":
        return ["--use-tensorboard"]
    if options.tracking == "wandb":
        return [
            "--use-wandb",
            "--disable-wandb-random-suffix",  # made by a function that wandb no longer has
            *("--wandb-mode", options.wandb_mode),
            *("--wandb-project", options.wandb_project),
            *("--wandb-group", f"{options.output.name}-{stage}"),
            *("--wandb-dir", str(TRACKING.resolve())),
        ]
    return []


def job_environment(install: Install, options: argparse.Namespace) -> dict[str, str]:
    """Variables of all processes of a job. What the machine has set, such as NCCL's, stays."""
    variables = {
        "PYTHONPATH": install.python_path(),
        "PYTHONUNBUFFERED": "1",
        "CUDA_DEVICE_MAX_CONNECTIONS": "1",  # Megatron's overlap of sequence parallelism needs it
        "RAY_DEDUP_LOGS": "0",  # the log is read, so no line may be left out
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LOGURU_AUTOINIT": "False",  # tau2 would write every step of every episode
        "SGLANG_HEALTH_CHECK_TIMEOUT": str(HEALTH_CHECK_S),  # 20 s: shorter than a compilation
        "no_proxy": ",".join(filter(None, ["127.0.0.1,localhost", os.environ.get("no_proxy")])),
    }
    if options.tracking == "tensorboard":
        folder = TRACKING.resolve() / "tensorboard" / options.output.name
        variables["TENSORBOARD_DIR"] = str(folder)
    return variables
