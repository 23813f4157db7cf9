"""What the jobs of a run may use, as functions of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tau2_agent.config.user_options import STAGES, simulator_of

Config = Mapping[str, Any]


def gpus(config: Config) -> int:
    """GPUs of a training, on each of its nodes."""
    return config["resources"]["gpus"] if config["backend"] == "slime" else 0


def user_gpus(config: Config, stage: str = "") -> int:
    """GPUs beside these, for a user who is served; the most of any stage unless one is named."""
    stages = [stage] if stage else STAGES
    return max(simulator_of(config, one).gpus for one in stages)


def server_gpus(config: Config) -> int:
    """GPUs of an evaluation: what one server needs, not all that training has."""
    return config["slime"]["tensor_parallel"] if config["backend"] == "slime" else 0


def training_nodes(config: Config) -> dict[str, Any]:
    """Resources of a training on several nodes: it starts srun itself, like a cluster's MPI job."""
    nodes = config["resources"]["nodes"]
    return {"nodes": nodes, "tasks": nodes, "tasks_per_gpu": 0, "mpi": "srun"} if nodes > 1 else {}


def memory_mb(config: Config, attempt: int) -> int:
    """Megabytes; a retry gets half as much again."""
    return int(config["resources"]["memory_gb"] * 1000 * (1 + attempt) / 2)


def runtime(config: Config, attempt: int) -> int:
    """Minutes on a cluster; a retry gets as much again."""
    return max(1, int(attempt * config["resources"]["time_limit_hours"] * 60))


def same_each_time(config: Config) -> tuple[bool, bool]:
    """Whether traces, and the base model, come out the same each time: then copies may share them.

    A language model would not answer the same, and a folder may have changed.
    """
    traces = config["traces"]["teacher"] == config["user"]["simulator"] == "scripted"
    model = config["model"]
    return traces, bool(model["revision"]) or (model["source"] == "demo" and traces)
