"""Whether two user simulators lead to the same results, on the same agent and the same tasks.

Each task and trial that counts on both sides is a pair. Agreement is the share of pairs that both
sides solve or both fail; Cohen's kappa is that agreement beyond what two sides with these success
rates would reach by chance (Cohen 1960): 1 is perfect, 0 is chance. What is resampled for intervals
is tasks. An agent that samples disagrees with itself too: compare with it greedy, or read the
numbers against the same simulator twice.

Left out: playing, and files (compare_users.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isclose, sqrt
from statistics import NormalDist, fmean
from typing import Any

import numpy as np
from pydantic import BaseModel

from tau2_agent.evaluation.statistics import (
    LEVEL,
    RESAMPLES,
    Difference,
    Interval,
    bootstrap_mean,
    paired_difference,
    wilson,
)
from tau2_agent.records.episode_row import EpisodeRow
from tau2_agent.rollout.trajectory import EndReason

Rows = Mapping[tuple[str, int], EpisodeRow]

Z = NormalDist().inv_cdf((1 + LEVEL) / 2)

# Whether a and b solve a task: the order of the cells in a table of counts.
OUTCOMES = [(True, True), (True, False), (False, True), (False, False)]


class Side(BaseModel):
    """One simulator's episodes. Means are over tasks; None where no episode counts."""

    user: str
    settings: dict[str, Any] = {}
    episodes: int
    excluded: int
    failures: dict[str, int]  # of the user, by kind
    pass_at_1: float | None
    pass_at_1_interval: Interval | None
    partial: float | None
    steps: float | None  # as tau2 counts
    agent_turns: float | None
    unknown_rate: float | None  # of the agent's utterances, where the simulator says so
    early_stops: int | None = None  # while agreeing to what the agent had yet to do
    ends: dict[str, int]
    usage: dict[str, Any] | None = None  # of a language model
    agent_usage: dict[str, Any] | None = None  # of one that is the agent


class Agreement(BaseModel):
    """Two sides and how they agree; `b - a` in differences. None where nothing can be said."""

    a: Side
    b: Side
    pairs: int
    unpaired: int  # episodes that count on one side only
    solved_by: dict[str, int]  # both, a only, b only, neither
    agreement: float | None
    agreement_interval: Interval | None
    kappa: float | None
    kappa_interval: Interval | None
    same_end: float | None
    differences: dict[str, Difference]  # of pass@1, partial, steps, agent turns


def compare(a: Rows, b: Rows, names: Mapping[str, Side]) -> Agreement:
    """Compare two sides' rows. `names` has both sides, from `summarise_side`."""
    counted = [{key for key, row in rows.items() if not row.excluded} for rows in (a, b)]
    pairs = sorted(counted[0] & counted[1])
    outcomes = Counter((a[key].solved, b[key].solved) for key in pairs)
    table = [outcomes[outcome] for outcome in OUTCOMES]
    by_task: dict[str, list[float]] = {}
    for key in pairs:
        by_task.setdefault(key[0], []).append(float(a[key].solved == b[key].solved))
    rate, interval = _rate([fmean(values) for values in by_task.values()], len(pairs))
    kappa = cohens_kappa(table)
    fields = {
        "pass_at_1": "solved",
        "partial": "partial",
        "steps": "steps",
        "agent_turns": "agent_turns",
    }
    return Agreement(
        a=names["a"],
        b=names["b"],
        pairs=len(pairs),
        unpaired=len(counted[0] ^ counted[1]),
        solved_by=dict(zip(("both", "a only", "b only", "neither"), table, strict=True)),
        agreement=rate,
        agreement_interval=interval,
        kappa=kappa,
        kappa_interval=None if kappa is None else _kappa_interval(a, b, pairs),
        same_end=fmean(a[key].end == b[key].end for key in pairs) if pairs else None,
        differences={
            name: paired_difference([_means(a, pairs, field)], [_means(b, pairs, field)])
            for name, field in fields.items()
            if pairs
        },
    )


class Precision(BaseModel):
    """How precise a comparison of so many tasks is, one trial each; half widths at 95 %."""

    tasks: int
    agreement: Interval
    kappa_half_width: float | None  # None where chance alone agrees always
    difference_half_width: float  # of pass@1, b - a


def precision(tasks: int, agreement: float, pass_at_1: float) -> Precision:
    """What can be expected of a comparison before it is made, or of a larger one.

    agreement, pass_at_1: as they are assumed, or were found; both users alike in pass@1. The
    interval of the agreement is Wilson's; that of the difference of pass@1 follows from the share
    of tasks that one side alone solves (McNemar 1947), that of kappa from its standard error
    sqrt(p (1 - p) / n) / (1 - chance) (Cohen 1960).
    """
    chance = pass_at_1**2 + (1 - pass_at_1) ** 2
    error = sqrt(agreement * (1 - agreement) / tasks)
    return Precision(
        tasks=tasks,
        agreement=wilson(round(agreement * tasks), tasks),
        kappa_half_width=None if isclose(chance, 1) else Z * error / (1 - chance),
        difference_half_width=Z * sqrt((1 - agreement) / tasks),
    )


def summarise_side(
    user: str, rows: Rows, settings: Mapping[str, Any], usage: Mapping[str, Any] | None = None
) -> Side:
    """What one simulator's episodes came to."""
    counted = sorted(key for key, row in rows.items() if not row.excluded)
    solved, interval = _rate(list(_means(rows, counted, "solved").values()), len(counted))
    heard = [rows[key].user_report for key in counted if "unknown" in rows[key].user_report]
    utterances = sum(report.get("utterances", 0) for report in heard)
    unknown = sum(report["unknown"] for report in heard)
    reports = [rows[key].user_report for key in counted]
    stops = [report["early_stops"] for report in reports if "early_stops" in report]
    failures = Counter(row.failure for row in rows.values() if row.end is EndReason.USER_ERROR)

    def mean(field: str) -> float | None:
        return fmean(_means(rows, counted, field).values()) if counted else None

    return Side(
        user=user,
        settings=dict(settings),
        episodes=len(counted),
        excluded=len(rows) - len(counted),
        failures=dict(failures.most_common()),
        pass_at_1=solved,
        pass_at_1_interval=interval,
        partial=mean("partial"),
        steps=mean("steps"),
        agent_turns=mean("agent_turns"),
        unknown_rate=unknown / utterances if utterances else None,
        early_stops=sum(stops) if stops else None,
        ends=dict(Counter(row.end.value for row in rows.values()).most_common()),
        usage=None if usage is None else dict(usage),
    )


def cohens_kappa(table: Sequence[float]) -> float | None:
    """Kappa of counts (both, a only, b only, neither); None if chance alone agrees always."""
    kappa = float(_kappas(np.asarray(table, dtype=float)[None, :])[0])
    return None if np.isnan(kappa) else kappa


def _kappas(tables: np.ndarray) -> np.ndarray:
    """Kappa of each row of `tables`, shape (n, 4); NaN where it is not defined."""
    total = tables.sum(axis=1)
    both, only_a, only_b, neither = tables.T
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = (both + neither) / total
        solved_a, solved_b = (both + only_a) / total, (both + only_b) / total
        chance = solved_a * solved_b + (1 - solved_a) * (1 - solved_b)
        kappas = (observed - chance) / (1 - chance)
    return np.where(np.isclose(chance, 1) | (total == 0), np.nan, kappas)


def _kappa_interval(a: Rows, b: Rows, pairs: list[tuple[str, int]]) -> Interval | None:
    """Percentile bootstrap over tasks; None if most resamples have no kappa."""
    tasks = {task_id: number for number, task_id in enumerate(dict.fromkeys(t for t, _ in pairs))}
    counts = np.zeros((len(tasks), 4))
    for key in pairs:
        counts[tasks[key[0]], OUTCOMES.index((a[key].solved, b[key].solved))] += 1
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(tasks), np.full(len(tasks), 1 / len(tasks)), RESAMPLES)
    kappas = _kappas(weights @ counts)
    defined = kappas[~np.isnan(kappas)]
    if len(defined) < RESAMPLES / 2:
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high), method="bootstrap over tasks")


def _means(rows: Rows, keys: Sequence[tuple[str, int]], field: str) -> dict[str, float]:
    """Task id -> mean of a field over the trials in `keys`."""
    values: dict[str, list[float]] = {}
    for key in keys:
        values.setdefault(key[0], []).append(float(getattr(rows[key], field)))
    return {task_id: fmean(of_task) for task_id, of_task in values.items()}


def _rate(by_task: Sequence[float], episodes: int) -> tuple[float | None, Interval | None]:
    """Mean over tasks, with Wilson's interval when each task was played once."""
    if not by_task:
        return None, None
    if len(by_task) == episodes:
        return fmean(by_task), wilson(round(sum(by_task)), episodes)
    return fmean(by_task), bootstrap_mean(by_task)
