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


def chat_template(config: Mapping[str, Any]) -> str:
    """The file that takes the place of the model's own chat template; "" if none does."""
    wanted = config["model"]["chat_template"]
    return os.path.relpath(template_file(wanted)) if wanted else ""


def compared(run: Run) -> list[str]:
    """The models that are evaluated beside the final one, as far as the run makes them."""
    models = stage_files(run).models
    return [stage for stage in run.settings.config["evaluation"]["compare_with"] if stage in models]


@dataclass(frozen=True)
class StageFiles:
    """The files of one run. models, results: by the stage that makes the model, in their order:
    base, sft, rejection (if it is one of the run's), rl. sampled: traces of rejection sampling."""

    traces: str
    sampled: str
    leaks: str
    models: dict[str, str]
    converted: str
    user_model: str
    results: dict[str, str]

    @property
    def before_rl(self) -> str:
        """The model that GRPO begins with."""
        return self.models.get("rejection", self.models["sft"])


def stage_files(run: Run) -> StageFiles:
    """Return the files of a run, those included that it shares."""

    def marked(path: str, stage: str) -> str:
        owner = run.owners.get(stage)
        return f"{path}+{owner}" if owner else path

    def folder(owner: str) -> str:
        return f"results/{owner}/" if owner else "results/"

    name, serve = run.settings.config["model"]["name"], run.settings.config["user"]["serve"]
    base = marked(f"models/{name}", "base")
    trained = [stage for stage in ("sft", "rejection", "rl") if stage in run.owners]
    return StageFiles(
        traces=marked("data/teacher_traces", "traces") + ".jsonl",
        sampled=marked("data/sampled_traces", "rejection") + ".jsonl"
        if "rejection" in trained
        else "",
        leaks=marked("data/leaks_{split}", "leaks") + ".json",
        models={"base": base}
        | {stage: marked(f"checkpoints/{name}", stage) + f"_{stage}_telecom" for stage in trained},
        converted=f"{base}_torch_dist",
        # No trained model's name has a "_". One's own folder stays where it is.
        user_model=serve["source"]
        if serve and is_folder(serve)
        else marked("models/user_model", "user model"),
        results={
            stage: folder(run.owners[f"{stage} results"]) + f"{stage}/eval_{{split}}.json"
            for stage in ("base", *trained[:-1])
        }
        | {"rl": folder(run.name) + "eval_{split}.json"},
    )


def evaluated(run: Run) -> list[str]:
    """The evaluation files of a run, in the table's order, shared ones included."""
    wanted, results = run.settings.config["evaluation"], stage_files(run).results
    patterns = [results[stage] for stage in [*compared(run), "rl"]]
    return [pattern.format(split=split) for pattern in patterns for split in wanted["splits"]]


def all_evaluated(runs: Iterable[Run]) -> list[str]:
    """The evaluation files of all runs, each once."""
    return sorted({file for run in runs for file in evaluated(run)})


def all_trained(runs: Iterable[Run]) -> list[tuple[str, str, str]]:
    """(run, stage, checkpoint) of each training of all runs, once where they share it."""
    found: dict[str, tuple[str, str]] = {}
    for run in runs:
        for stage, folder in stage_files(run).models.items():
            if stage != "base":
                found.setdefault(folder, (run.name or "plain", stage))
    return [(*training, folder) for folder, training in found.items()]


def gone_stores(runs: Iterable[Run]) -> str:
    """Which checkpoints link to nothing, and what to do; "" if none does.

    Snakemake would say that another process has deleted them while it ran.
    """
    links = [folder for *_, folder in all_trained(runs) if os.path.islink(folder)]
    gone = [link for link in links if not os.path.exists(link)]
    if not gone:
        return ""
    return (
        f"{gone[0]} links to {os.readlink(gone[0])}, which is gone; put that back, or to train "
        f"anew run: rm {' '.join(gone)}"
    )


def all_sampled(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """(run, traces) of each rejection sampling of all runs, once where they share it."""
    found: dict[str, str] = {}
    for run in runs:
        if file := stage_files(run).sampled:
            found.setdefault(file, run.name or "plain")
    return [(run, file) for file, run in found.items()]


def report_parts() -> list[str]:
    """What decides how the report looks beside its program, from the project's folder."""
    parts = Path("scripts/tau2_agent/report")
    return sorted(str(part) for part in parts.rglob("*") if part.suffix in (".js", ".css", ".j2"))
