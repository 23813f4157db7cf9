"""The file of each stage, in each run.

What a run of a sweep makes itself is marked by its name: models/demo+RUN, results/RUN/. What it
shares has the name of the run that makes it. {split} stands for a split.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tau2_agent.config.sweeps import Run
from tau2_agent.config.user_options import is_folder
from tau2_agent.rollout.template_files import template_file


def tasks_file(split: str) -> str:
    """The tasks of a split."""
    return f"data/telecom_{split}_tasks.jsonl"


def chat_template(config: Mapping[str, Any]) -> str:
    """The file that takes the place of the model's own chat template; "" if none does."""
    wanted = config["model"]["chat_template"]
    return os.path.relpath(template_file(wanted)) if wanted else ""


@dataclass(frozen=True)
class StageFiles:
    """The files of one run. models, results: by the stage that makes the model: base, sft, rl."""

    traces: str
    leaks: str
    models: dict[str, str]
    converted: str
    user_model: str
    results: dict[str, str]


def stage_files(run: Run) -> StageFiles:
    """Return the files of a run, those included that it shares."""

    def marked(path: str, stage: str) -> str:
        return f"{path}+{run.owners[stage]}" if run.owners[stage] else path

    def folder(owner: str) -> str:
        return f"results/{owner}/" if owner else "results/"

    name, serve = run.settings.config["model"]["name"], run.settings.config["user"]["serve"]
    base = marked(f"models/{name}", "base")
    checkpoint = f"checkpoints/{name}"
    return StageFiles(
        traces=marked("data/teacher_traces", "traces") + ".jsonl",
        leaks=marked("data/leaks_{split}", "traces") + ".json",
        models={
            "base": base,
            "sft": marked(checkpoint, "sft") + "_sft_telecom",
            "rl": marked(checkpoint, "rl") + "_rl_telecom",
        },
        converted=f"{base}_torch_dist",
        # made anew when the user changes, as the traces are; one's own folder stays where it is
        user_model=serve["source"]
        if serve and is_folder(serve)
        else marked(f"models/{name}_user", "traces"),
        results={
            "base": folder(run.owners["base results"]) + "base/eval_{split}.json",
            "sft": folder(run.owners["sft results"]) + "sft/eval_{split}.json",
            "rl": folder(run.name) + "eval_{split}.json",
        },
    )


def evaluated(run: Run) -> list[str]:
    """The evaluation files of a run, in the table's order, shared ones included."""
    wanted, results = run.settings.config["evaluation"], stage_files(run).results
    patterns = [results[stage] for stage in [*wanted["compare_with"], "rl"]]
    return [pattern.format(split=split) for pattern in patterns for split in wanted["splits"]]


def all_evaluated(runs: Iterable[Run]) -> list[str]:
    """The evaluation files of all runs, each once."""
    return sorted({file for run in runs for file in evaluated(run)})


def all_trained(runs: Iterable[Run]) -> list[tuple[str, str, str]]:
    """(run, stage, checkpoint) of each training of all runs, once where they share it."""
    found: dict[str, tuple[str, str]] = {}
    for run in runs:
        for stage in ("sft", "rl"):
            found.setdefault(stage_files(run).models[stage], (run.name or "plain", stage))
    return [(*training, folder) for folder, training in found.items()]


def report_parts() -> list[str]:
    """What decides how the report looks beside its program, from the project's folder."""
    parts = Path("scripts/tau2_agent/report")
    return sorted(str(part) for part in parts.rglob("*") if part.suffix in (".js", ".css", ".j2"))
