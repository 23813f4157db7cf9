"""The model card of a trained checkpoint, in the hub's format, made from the run's records.

YAML front matter first (`huggingface_hub.ModelCardData`: base model, licence, the results as a
model index), then the same for people: results with intervals and baselines, data, recipe with the
command that repeats it, user simulator, limits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from tau2_agent.evaluation.results import COPIES, EvaluationSummary
from tau2_agent.evaluation.statistics import figure
from tau2_agent.files import DONE_FILE, read_object

NAMES = {
    "base": "base model",
    "sft": "SFT",
    "rejection": "SFT, then rejection sampling",
    "rl": "SFT, then GRPO",
}
SAMPLED = {"rl": "SFT, rejection sampling, then GRPO"}
TITLES = {
    "sft": "Supervised fine-tuning",
    "rejection": "Supervised fine-tuning on what rejection sampling kept",
    "rl": "GRPO",
}
# Of a training's fingerprint: what a reader of a recipe looks for first, in this order.
TOLD = (
    *("epochs", "steps", "rollouts", "prompts_per_rollout", "samples_per_prompt", "batch_size"),
    *("lr", "lr_schedule", "temperature", "alpha", "weights", "kl_coef", "clip_low", "clip_high"),
    *("scale_by_group_std", "loss_weighting", "weight_decay", "adam_beta2", "curriculum"),
    *("issues", "dynamic_sampling", "max_resampled_groups", "repeat_limit", "repeat_penalty"),
    *("context_length", "max_new_tokens", "max_steps"),
    *("prompt", "user", "seed"),
)
OWN_LICENSE = "apache-2.0"  # of this project, for a base model that it makes


class Base(NamedTuple):
    """The base model: "demo", a hub id or a folder; its revision; the licence it came with."""

    source: str
    revision: str | None
    license: str

    @property
    def on_hub(self) -> bool:
        """Whether the source is an id of the hub."""
        return self.source != "demo" and not Path(self.source).exists()


def base_of(source: str, revision: str | None, folder: Path) -> Base:
    """Read the licence from the front matter of the base model's own card; "unknown" without."""
    if source == "demo":
        return Base(source, None, OWN_LICENSE)
    card = folder / "README.md"
    license_ = ModelCard.load(card).data.get("license") if card.is_file() else None
    return Base(source, revision, str(license_ or "unknown"))


def model_card(
    name: str,
    summaries: Sequence[EvaluationSummary],
    base: Base,
    stages: Mapping[str, Path],
    data: str,
    command: str = "",
) -> str:
    """The card of the last stage's model. stages: "sft", "rejection" (if there
    is such a stage) and "rl" -> checkpoint folder.

    data: a sentence on the traces. command: what makes the model again.
    """
    final = [summary for summary in summaries if summary.stage == "rl"]
    front = ModelCardData(
        model_name=name,
        base_model=base.source if base.on_hub else None,
        base_model_relation="finetune" if base.on_hub else None,
        license=base.license if base.license != "unknown" else "other",
        license_name=None if base.license != "unknown" else "that-of-the-base-model",
        language="en",
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["tau2-bench", "telecom", "tool-use", "agents", "sft", "grpo"],
        eval_results=[result for summary in final for result in _results(summary)] or None,
    )
    origin = "random weights made by the project's demo" if base.source == "demo" else base.source
    if base.revision:
        origin += f" at revision `{base.revision}`"
    parts = [
        f"---\n{front.to_yaml()}\n---",
        f"# {name}",
        "A tool-using telecom support agent, post-trained on τ²-bench telecom by supervised "
        "fine-tuning on solved conversations and GRPO with the benchmark's own reward and partial "
        f"credit. Base model: {origin}. Licence of the base model: {base.license}.",
        "## Results",
        *_tables(summaries, NAMES | (SAMPLED if "rejection" in stages else {})),
        "## Data",
        data,
        "## Recipe",
        *_recipe(stages, command, final),
        "## User simulator",
        *_users(final),
        "## Limits",
        *_limits(final),
    ]
    return "\n\n".join(parts) + "\n"


def _results(summary: EvaluationSummary) -> list[EvalResult]:
    if summary.pass_at_1 is None:
        return []
    about = {
        "task_type": "text-generation",
        "task_name": "Multi-turn tool use with a user simulator",
        "dataset_type": "tau2-bench",
        "dataset_name": f"τ²-bench telecom ({summary.split})",
        "dataset_config": "telecom",
        "dataset_split": summary.split,
    }
    shares = {"pass@1": summary.pass_at_1}
    shares |= {f"pass^{k}": value for k, value in summary.pass_hat_k.items() if k > 1}
    for kind, rate in summary.groups.get("kind", {}).items():
        if rate.value is not None:
            shares[f"pass@1, {kind} tasks"] = rate.value
    return [
        EvalResult(**about, metric_type=name, metric_name=name, metric_value=round(value, 4))
        for name, value in shares.items()
    ]


def _tables(summaries: Sequence[EvaluationSummary], names: Mapping[str, str]) -> list[str]:
    """A table for each split: stages, then what needs no model. names: of the stages."""
    found = []
    for split in dict.fromkeys(summary.split for summary in summaries):
        of_split = [summary for summary in summaries if summary.split == split]
        lines = [
            f"Split `{split}`, pass@1 with 95 % intervals:",
            "",
            "| model | tasks | pass@1 | fix tasks | transfer tasks | partial score |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for one in of_split:
            kinds = [one.groups.get("kind", {}).get(kind) for kind in ("fix", "transfer")]
            cells = [
                names.get(one.stage, one.stage),
                str(sum(task.counted > 0 for task in one.tasks)),
                figure(one.pass_at_1, one.pass_at_1_interval),
                *(figure(kind and kind.value, kind and kind.interval) for kind in kinds),
                figure(one.avg_partial_score, one.avg_partial_score_interval),
            ]
            lines.append(f"| {' | '.join(cells)} |")
        for baseline in of_split[-1].baselines:
            rates = (baseline.all, baseline.fix, baseline.transfer)
            cells = [f"*{baseline.label}*", str(baseline.all.tasks)]
            cells += [figure(rate.value, rate.interval) for rate in rates]
            lines.append(f"| {' | '.join([*cells, ''])} |")
        for one in of_split:
            if len(one.pass_hat_k) > 1:
                k = max(one.pass_hat_k)
                hat = figure(one.pass_hat_k[k], one.pass_hat_k_interval.get(k))
                at = figure(one.pass_at_k[k], one.pass_at_k_interval.get(k))
                lines += ["", f"{names.get(one.stage, one.stage)}: pass^{k} {hat}, pass@{k} {at}."]
        found.append("\n".join(lines))
    found.append(
        "In italics: what needs no model, played with the scripted user. *Transfer tasks* are "
        "solved by handing the user to a human, *fix tasks* by repairing the fault; an agent that "
        "transfers everybody solves all of the former."
    )
    return found


def _recipe(
    stages: Mapping[str, Path], command: str, final: Sequence[EvaluationSummary]
) -> list[str]:
    parts = []
    if command:
        commit = final[0].commit if final else None
        checkout = f"git checkout {commit.rstrip('+')}\n" if commit else ""
        parts.append(f"```\n{checkout}{command}\n```")
        if commit and commit.endswith("+"):
            parts.append("The code had changes that were not committed.")
    for stage, folder in stages.items():
        record, done = (read_object(folder / name) for name in ("stage.json", DONE_FILE))
        decides = record.get("fingerprint", {}).get("hyperparameters", {})
        told = [f"`{key}` {json.dumps(decides[key])}" for key in TOLD if key in decides]
        seconds = done.get("summary", {}).get("seconds")
        took = f" ({seconds:.0f} s)" if isinstance(seconds, int | float) else ""
        title = TITLES.get(stage, stage)
        parts.append(f"**{title}**{took}: {', '.join(told) or 'not recorded'}.")
        if taken := done.get("summary", {}).get("taken"):
            parts.append(_taken(taken))
    if final:
        versions = ", ".join(f"{k} {v}" for k, v in final[0].manifest.versions.items())
        parts.append(f"Versions: {versions}.")
    return parts


def _taken(taken: Mapping[str, Any]) -> str:
    """Which of a training's weights these are, and what they solved on validation."""
    told = f"The weights are those after rollout {taken['rollout']} of {taken['of']}"
    told += ", the best on validation" if taken["checkpoint"] == "best" else ", the last"
    if "validated" in taken:
        told += f": {_solved(taken['pass_at_1'])} of {taken['tasks']} tasks of extra_dev, greedily"
        if "pass_at_1_at_first" in taken:
            told += f"; {_solved(taken['pass_at_1_at_first'])} before the first rollout"
        told += f" ({taken['validated']} validations)"
    return f"{told}."


def _solved(share: float | None) -> str:
    return "pass@1 unknown" if share is None else f"pass@1 {share:.3f}"


def _users(final: Sequence[EvaluationSummary]) -> list[str]:
    if not final:
        return ["Not evaluated."]
    one = final[0].manifest
    if "llm" in one.user_simulator:
        who = f"a language model, `{one.user_settings.get('model')}`, with tau2's own guidelines"
    else:
        who = f"`{one.user_simulator}`: code, easier for an agent than a person"
        if phrasing := one.user_settings.get("phrasing"):
            who += f", phrasing `{phrasing}`"
    return [
        f"Evaluated against {who}; temperature {one.sampling.get('temperature')}, "
        f"`{one.prompt}` system prompt (SHA-256 with its tools `{one.prompt_sha256[:16]}…`), "
        f"seed {one.seed}. Scores against different user simulators do not compare."
    ]


def _limits(final: Sequence[EvaluationSummary]) -> list[str]:
    lines = [
        "- It was trained on τ²-bench's own tasks and rewards: on the benchmark's leaderboard it "
        'is a "custom" entry. Its scores say nothing about other domains.',
        "- In telecom all tasks have the same customer and line, which a model can overfit to.",
    ]
    for one in final:
        if one.manifest.prompt == "short":
            lines.append("- It knows a one-sentence system prompt without tool schemas, no manual.")
        if one.excluded:
            bound = figure(one.lower_bound.value, one.lower_bound.interval)
            lines.append(
                f"- `{one.split}`: {one.excluded} episodes failed for the user's or the server's "
                f"sake and are in no average; with all of them as failures pass@1 is {bound}."
            )
        if one.copies:
            lines.append(f"- `{one.split}`: {COPIES}.")
        told = {name: entry["total"] for name, entry in one.counters.items()}
        if told:
            counted = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in told.items())
            lines.append(f"- `{one.split}`, counted over {one.evaluated} episodes: {counted}.")
        if one.selection["rule"] != "all":
            lines.append(f"- `{one.split}`: only {one.total_tasks} tasks of the split were played.")
    return ["\n".join(dict.fromkeys(lines))]
