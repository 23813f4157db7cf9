"""Which splits of tasks are for what, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def tasks_file(split: str) -> str:
    """The tasks of a split."""
    return f"data/telecom_{split}_tasks.jsonl"


def gated_splits(config: Mapping[str, Any]) -> list[str]:
    """The splits with which no data of the whole run may share a fault combination."""
    validated = ["extra_dev"] if config["grpo"]["validation_every"] else []
    return list(dict.fromkeys([*config["tasks"]["held_out"], *validated]))


def sampled_split(config: Mapping[str, Any]) -> str:
    """The split that the SFT model plays for rejection sampling."""
    return config["tasks"]["rejection_sampling"] or config["tasks"]["grpo"]


def learnt_from(config: Mapping[str, Any]) -> list[str]:
    """The task files of all training. That of rejection sampling counts also while it is left out:
    runs with and without it share the leak gate."""
    tasks = config["tasks"]
    return sorted(
        {tasks_file(split) for split in (tasks["sft"], tasks["grpo"])}
        | {tasks_file(sampled_split(config))}
    )
