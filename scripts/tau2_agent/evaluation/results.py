"""Results of an evaluation: one typed row an episode, the summary, and what made the numbers.

An episode that the infrastructure ended (the user simulator or the server failed) is no result:
it is counted as excluded and is in no average. Averages are over tasks, each with one vote; with
one trial a task that is the average over episodes.

Elsewhere: playing (playing.py), the file that grows by a row an episode (records/episode_log.py),
statistics (statistics.py).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from tau2_agent.benchmark.tasks import DOMAIN, tasks_sha256
from tau2_agent.errors import first_problem
from tau2_agent.evaluation.rates import Baseline, Rate, rate, rates_by_facet, totals
from tau2_agent.evaluation.statistics import Interval, bootstrap_mean, pass_at_k, pass_hat_k
from tau2_agent.records.episode_row import EpisodeRow, ResultsError
from tau2_agent.rollout.trajectory import EndReason

# Beside a number of several trials that tell no more than one.
COPIES = (
    "at temperature 0 and with a user simulator that always says the same, the trials of a task "
    "are copies of one episode; pass^k and pass@k say nothing then, and the interval is that of "
    "one trial. Raise evaluation.temperature, or evaluate one trial"
)


class Manifest(BaseModel):
    """What made the numbers. Nothing here says how good they are."""

    versions: dict[str, str]
    backend: str
    prompt: str
    prompt_sha256: str
    user_simulator: str
    user_settings: dict[str, Any] = {}
    seed: int
    sampling: dict[str, Any]
    limits: dict[str, Any]
    partial_weights: dict[str, float]
    server: dict[str, Any] = {}  # of SGLang: its own account, or what it was started with
    tasks_sha256: str = Field(default_factory=tasks_sha256)


class TaskResult(BaseModel):
    """A task's trials. Means are None when every trial was excluded."""

    task_id: str
    counted: int
    excluded: int
    successes: int
    reward: float | None
    partial: float | None
    steps: float | None
    ends: list[EndReason]


class EvaluationSummary(BaseModel):
    """An evaluation. Averages and rates are over the tasks with a trial that counted; `rates.py`
    says which do.

    pass_hat_k (pass^k: k trials all succeed) and pass_at_k (pass@k: one of k does) are there for
    each k up to the number of trials that every such task has. groups: facet -> value -> pass@1 of
    those tasks; the other groups are for the largest k, if it is more than 1.
    """

    stage: str
    checkpoint: str
    commit: str | None  # of this project, at which most episodes were played; "+": tree edited
    played_at: dict[str, int] = {}  # commit, or "" without git -> episodes
    played_by: dict[str, int] = {}  # digest of the code that played -> episodes
    scored_by: str = ""  # digest of the code that scored, and the weights
    trained_for: dict[str, Any] | None = None  # the checkpoint's own record
    domain: str = DOMAIN
    split: str
    selection: dict[str, Any] = {"rule": "all", "num_tasks": -1}  # of the split; see `tasks`
    total_tasks: int
    trials: int
    copies: bool = False  # the trials of a task are the same episode again: see COPIES
    evaluated: int  # episodes that count
    excluded: int  # episodes that do not: user_simulator_errors + policy_errors
    successes: int
    pass_at_1: float | None
    pass_at_1_interval: Interval | None
    lower_bound: Rate = Rate()  # pass@1 with every excluded episode as a failure
    avg_reward: float | None
    avg_reward_interval: Interval | None
    avg_partial_score: float | None
    avg_partial_score_interval: Interval | None
    avg_steps: float | None
    avg_steps_interval: Interval | None
    pass_hat_k: dict[int, float]
    pass_hat_k_interval: dict[int, Interval] = {}
    pass_at_k: dict[int, float]
    pass_at_k_interval: dict[int, Interval] = {}
    groups: dict[str, dict[str, Rate]] = {}
    groups_pass_hat_k: dict[str, dict[str, Rate]] = {}
    groups_pass_at_k: dict[str, dict[str, Rate]] = {}
    baselines: list[Baseline] = []
    ends: dict[str, int]
    user_ends: dict[str, int] = {}  # of "user_stop": solved ("stop"), transfer, out_of_scope
    counters: dict[str, dict[str, int]] = {}  # name -> total and episodes; counters.COUNTERS
    user_simulator_errors: int
    user_errors: dict[str, int] = {}  # of them, by kind
    policy_errors: int
    user_report: dict[str, float]  # sums of the numbers in the simulator's reports
    user_usage: dict[str, Any] | None = None  # what a language model as user cost, all attempts
    tasks: list[TaskResult]
    manifest: Manifest


def summarise(
    rows: Iterable[EpisodeRow],
    *,
    task_ids: Sequence[str],
    trials: int,
    stage: str,
    checkpoint: str,
    split: str,
    manifest: Manifest,
    **more: Any,
) -> EvaluationSummary:
    """Summarise the rows of `task_ids` x `trials`; other rows are ignored, later ones win.

    more: fields of the summary that rows do not tell, such as `selection` and `baselines`. Raises
    ResultsError when an episode is missing: a mean over what happens to be there would be no mean
    over the split.
    """
    by_key = {(row.task_id, row.trial): row for row in rows}
    wanted = [(task_id, trial) for task_id in task_ids for trial in range(trials)]
    if lost := [key for key in wanted if key not in by_key]:
        raise ResultsError(
            f"{len(lost)} of {len(wanted)} episodes are missing, {lost[0][0]} trial {lost[0][1]} "
            "first. Run the evaluation again: it plays what is missing."
        )
    kept = [by_key[key] for key in wanted]
    by_task: dict[str, list[EpisodeRow]] = defaultdict(list)
    for row in kept:
        by_task[row.task_id].append(row)
    tasks = [_task_result(task_id, by_task[task_id]) for task_id in dict.fromkeys(task_ids)]
    counted = [task for task in tasks if task.counted]
    solved = {task.task_id: task.successes / task.counted for task in counted}
    pass_at_1 = rate(list(solved.values()))
    commits = played_at(kept)
    ends = Counter(row.end.value for row in kept)
    failures = Counter(row.failure for row in kept if row.end is EndReason.USER_ERROR)
    figures: dict[str, Any] = {}
    for name, field in (("reward", "reward"), ("partial_score", "partial"), ("steps", "steps")):
        mean, interval = _mean([getattr(task, field) for task in counted])
        figures |= {f"avg_{name}": mean, f"avg_{name}_interval": interval}
    ks = range(1, min((task.counted for task in counted), default=0) + 1)
    for name, formula in (("pass_hat_k", pass_hat_k), ("pass_at_k", pass_at_k)):
        by_k = {k: {t.task_id: formula(t.counted, t.successes, k) for t in counted} for k in ks}
        rates = {k: rate(list(values.values())) for k, values in by_k.items()}
        figures[name] = {k: of_k.value for k, of_k in rates.items()}
        figures[f"{name}_interval"] = {k: of_k.interval for k, of_k in rates.items()}
        if len(ks) > 1:
            figures[f"groups_{name}"] = rates_by_facet(by_k[ks[-1]])
    return EvaluationSummary(
        stage=stage,
        checkpoint=checkpoint,
        commit=next(iter(commits), "") or None,
        played_at=commits,
        played_by=dict(Counter(row.code for row in kept).most_common()),
        scored_by=next((row.scored_by for row in kept if not row.excluded), ""),
        split=split,
        total_tasks=len(tasks),
        trials=trials,
        evaluated=sum(task.counted for task in tasks),
        excluded=sum(task.excluded for task in tasks),
        successes=sum(task.successes for task in tasks),
        pass_at_1=pass_at_1.value,
        pass_at_1_interval=pass_at_1.interval,
        lower_bound=rate([task.successes / (task.counted + task.excluded) for task in tasks]),
        groups=rates_by_facet(solved),
        ends=dict(ends.most_common()),
        user_ends=dict(Counter(row.user_end for row in kept if row.user_end).most_common()),
        counters=totals(row.counters for row in kept if not row.excluded),
        user_simulator_errors=ends[EndReason.USER_ERROR],
        user_errors=dict(failures.most_common()),
        policy_errors=ends[EndReason.POLICY_ERROR],
        user_report=_sum_reports(row.user_report for row in kept if not row.excluded),
        tasks=tasks,
        manifest=manifest,
        **figures,
        **more,
    )


def read_summary(path: Path | str) -> EvaluationSummary:
    """Read an evaluation's JSON file. Raises ResultsError, or OSError when it is not there."""
    try:
        return EvaluationSummary.model_validate_json(Path(path).read_bytes())
    except ValidationError as error:
        raise ResultsError(
            f"{path}: no summary of an evaluation ({first_problem(error)}). "
            "Delete it and evaluate again."
        ) from None


def task_values(summary: EvaluationSummary, field: str = "reward") -> dict[str, float]:
    """Task id -> mean "reward", "partial" or "steps", for `intervals.paired_difference`."""
    values = {task.task_id: getattr(task, field) for task in summary.tasks}
    return {task_id: value for task_id, value in values.items() if value is not None}


def _task_result(task_id: str, rows: list[EpisodeRow]) -> TaskResult:
    counted = [row for row in rows if not row.excluded]
    if unscored := [row for row in counted if row.reward is None or row.partial is None]:
        raise ResultsError(f"{task_id} trial {unscored[0].trial}: ended normally without a score")
    return TaskResult(
        task_id=task_id,
        counted=len(counted),
        excluded=len(rows) - len(counted),
        successes=sum(row.solved for row in counted),
        reward=fmean(row.reward for row in counted) if counted else None,
        partial=fmean(row.partial for row in counted) if counted else None,
        steps=fmean(row.steps for row in counted) if counted else None,
        ends=[row.end for row in rows],
    )


def played_at(rows: Iterable[EpisodeRow]) -> dict[str, int]:
    """Commit, with "+" for a tree that was edited, or "" without git -> episodes; most first."""
    commits = ((row.commit or "") + ("+" if row.clean is False else "") for row in rows)
    return dict(Counter(commits).most_common())


def _mean(values: Sequence[float]) -> tuple[float | None, Interval | None]:
    return (fmean(values), bootstrap_mean(values)) if values else (None, None)


def _sum_reports(reports: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for report in reports:
        for name, value in report.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                total[name] += value
    return dict(total)
