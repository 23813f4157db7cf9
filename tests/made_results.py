"""Rows and summaries of evaluations, made without playing."""

from __future__ import annotations

from tau2_agent.evaluation import results
from tau2_agent.evaluation.results import Manifest, summarise
from tau2_agent.records import provenance
from tau2_agent.records.episode_row import EpisodeRow
from tau2_agent.rollout.trajectory import EndReason

MANIFEST = Manifest(
    versions=provenance.versions(),
    backend="cpu",
    prompt="short",
    prompt_sha256="0" * 64,
    user_simulator="scripted",
    seed=0,
    sampling={"temperature": 0.0},
    limits={"max_steps": 200},
    partial_weights={"action": 0.7, "communicate": 0.1, "assertion": 0.2},
)


def row(task_id, reward=0.0, trial=0, end=EndReason.USER_STOP, **more) -> EpisodeRow:
    values = {"reward": reward, "partial": reward, "steps": 10} | more
    return EpisodeRow(task_id=task_id, trial=trial, end=end, **values)


def lost(task_id, trial=0, end=EndReason.USER_ERROR) -> EpisodeRow:
    return EpisodeRow(task_id=task_id, trial=trial, end=end)


def summary(rows, task_ids, trials=1, seed=0, **more) -> results.EvaluationSummary:
    about = {"stage": "sft", "checkpoint": "checkpoints/m", "split": "test"} | more
    manifest = MANIFEST.model_copy(update={"seed": seed})
    return summarise(rows, task_ids=task_ids, trials=trials, manifest=manifest, **about)
