"""Numbers of the first screen and the tables below it, as the template prints them.

An evaluation's own summary says everything; here it is put in rows. Models are in the order of the
stages, base first; runs of a sweep stand beside each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tau2_agent.evaluation.comparison import Comparison, compare
from tau2_agent.evaluation.results import EvaluationSummary, read_summary
from tau2_agent.evaluation.statistics import Interval

STAGES = {"base": "base", "sft": "SFT", "rejection": "rejection sampling", "rl": "GRPO"}
KINDS = {"all": "All tasks", "fix": "Tasks to be fixed", "transfer": "Tasks to be transferred"}
FACETS = {"issue": "Issue", "faults": "Number of faults", "persona": "Persona"}


@dataclass
class Evaluated:
    """An evaluation, and the run that made it. `several` runs are told apart in names.

    before: the evaluation of the stage before it on the same split, also one that its run shares.
    """

    run: str
    summary: EvaluationSummary
    several: bool = False
    before: Evaluated | None = None

    @property
    def stage(self) -> str:
        """The stage for people: base, SFT, rejection sampling, GRPO."""
        return STAGES.get(self.summary.stage, self.summary.stage)

    @property
    def id(self) -> str:
        """The name in links: a stage, or run:stage."""
        return f"{self.run}:{self.summary.stage}" if self.several else self.summary.stage

    @property
    def label(self) -> str:
        """The name in tables."""
        return f"{self.stage} {self.run}" if self.several else self.stage


@dataclass(frozen=True)
class Figure:
    """A value with its interval, and how many tasks it is over."""

    value: float | None
    interval: Interval | None = None
    tasks: int | None = None


def read_evaluations(runs: Mapping[str, Sequence[Path]]) -> dict[Path, Evaluated]:
    """Read the files of each run; a file that several runs share is the first one's.

    Raises ResultsError or FileNotFoundError.
    """
    found: dict[Path, Evaluated] = {}
    for run, paths in runs.items():
        for path in paths:
            if path not in found:
                found[path] = Evaluated(run, read_summary(path), len(runs) > 1)
        for split in {found[path].summary.split for path in paths}:
            own = [found[path] for path in paths if found[path].summary.split == split]
            for before, after in pairwise(ordered(own)):
                if after.run == run:
                    after.before = before
    return found


def ordered(found: Sequence[Evaluated]) -> list[Evaluated]:
    """By stage, base first; a stage that is not known goes last."""
    stages = list(STAGES)

    def place(one: Evaluated) -> int:
        return stages.index(one.summary.stage) if one.summary.stage in stages else len(stages)

    return sorted(found, key=place)


def rate_of(summary: EvaluationSummary, kind: str) -> Figure:
    """pass^1 over all, fix or transfer tasks."""
    if kind == "all":
        counted = sum(task.counted > 0 for task in summary.tasks)
        return Figure(summary.pass_at_1, summary.pass_at_1_interval, counted)
    return _figure(summary.groups.get("kind", {}).get(kind))


def main_table(found: Sequence[Evaluated]) -> list[dict[str, Any]]:
    """A row a model: pass^1 by kind, gain over the stage before, partial score, steps."""
    return [
        {
            "label": one.label,
            "rates": {kind: rate_of(one.summary, kind) for kind in KINDS},
            "gain": _gain(one),
            "partial": Figure(
                one.summary.avg_partial_score, one.summary.avg_partial_score_interval
            ),
            "steps": one.summary.avg_steps,
            "excluded": one.summary.excluded,
            "bound": _figure(one.summary.lower_bound),
            "trials": one.summary.trials,
        }
        for one in found
    ]


def baseline_table(found: Sequence[Evaluated]) -> list[dict[str, Any]]:
    """What needs no model, on the same tasks."""
    if not found:
        return []
    return [
        {
            "label": one.label,
            "user": one.user,
            "rates": {kind: _figure(getattr(one, kind)) for kind in KINDS},
        }
        for one in found[-1].summary.baselines
    ]


def progress_rows(found: Sequence[Evaluated], kind: str) -> list[dict[str, Any]]:
    """Rows of `charts.progress`."""
    rows = []
    for place, one in enumerate(found):
        figure = rate_of(one.summary, kind)
        if figure.value is None:
            continue
        interval = figure.interval
        rows.append(
            {
                "stage": one.stage,
                "run": one.run,
                "order": place,
                "value": figure.value,
                "low": interval.low if interval else figure.value,
                "high": interval.high if interval else figure.value,
            }
        )
    return rows


def progress_lines(found: Sequence[Evaluated], kind: str) -> list[dict[str, Any]]:
    """Baselines as lines of `charts.progress`."""
    return [
        {"label": row["label"], "value": row["rates"][kind].value}
        for row in baseline_table(found)
        if row["rates"][kind].value is not None
    ]


def ks(found: Sequence[Evaluated]) -> dict[str, Any] | None:
    """pass^k and pass@k for k above 1; None if every task was played once."""
    highest = max((max(one.summary.pass_hat_k, default=1) for one in found), default=1)
    if highest < 2:
        return None
    columns = range(1, highest + 1)
    rows = []
    for one in found:
        summary = one.summary
        hat, at = summary.pass_hat_k, summary.pass_at_k
        rows.append(
            {
                "label": one.label,
                "hat": [Figure(hat.get(k), summary.pass_hat_k_interval.get(k)) for k in columns],
                "at": [Figure(at.get(k), summary.pass_at_k_interval.get(k)) for k in columns],
                "copies": summary.copies,
            }
        )
    return {"ks": list(columns), "rows": rows}


def breakdowns(found: Sequence[Evaluated]) -> list[dict[str, Any]]:
    """pass^1 by issue, number of faults, persona: a table each."""
    tables = []
    for facet, title in FACETS.items():
        values = {value for one in found for value in one.summary.groups.get(facet, {})}
        if len(values) < 2:
            continue
        names = sorted(
            values, key=lambda value: (len(value), value) if value.isdigit() else (0, value)
        )
        rows = []
        for value in names:
            figures = [_figure(one.summary.groups.get(facet, {}).get(value)) for one in found]
            tasks = next((figure.tasks for figure in figures if figure.tasks), None)
            rows.append({"value": value.replace("_", " "), "tasks": tasks, "figures": figures})
        tables.append({"title": title, "rows": rows})
    return tables


def comparisons(found: Sequence[Evaluated]) -> list[dict[str, Any]]:
    """Each model against the one before it: tasks won, lost, same."""
    return [
        {"label": f"{one.before.label} → {one.label}", "told": told}
        for one in found
        if one.before and (told := _compared(one)) is not None
    ]


def end_rows(found: Sequence[Evaluated]) -> list[dict[str, Any]]:
    """Rows of `charts.shares`: where episodes ended; a user's stop by what he said."""
    rows = []
    for one in found:
        ends = dict(one.summary.ends)
        said = {f"user: {plain(name)}": n for name, n in one.summary.user_ends.items() if n}
        if said:
            left = ends.pop("user_stop", 0) - sum(said.values())
            ends = said | ({"user_stop": left} if left > 0 else {}) | ends
        rows += [
            {"bar": one.label, "kind": plain(name), "count": number, "place": place}
            for place, (name, number) in enumerate(sorted(ends.items()))
            if number
        ]
    return rows


def counter_table(found: Sequence[Evaluated], labels: Mapping[str, str]) -> dict[str, Any] | None:
    """Counters that any model has: episodes with it and calls in all, a column a model."""
    names = [name for name in labels if any(one.summary.counters.get(name) for one in found)]
    if not names:
        return None
    rows = [
        {"label": labels[name], "cells": [one.summary.counters.get(name) for one in found]}
        for name in names
    ]
    return {"columns": [one.label for one in found], "rows": rows}


def headline(found: Sequence[Evaluated]) -> str:
    """The result in one sentence: what the last model of the first run solves, and those before."""
    own = [one for one in found if one.run == found[0].run]
    last = own[-1].summary
    counted = sum(task.counted for task in last.tasks)
    if not counted:
        return f"{own[-1].stage}: no episode on {last.split} counts."
    what = "tasks" if last.trials == 1 else "episodes"
    before = ", ".join(f"{one.stage} {one.summary.successes}" for one in reversed(own[:-1]))
    solved = f"{own[-1].stage} solves {last.successes} of {counted} {last.split} {what}"
    return f"{solved}; {before}." if before else f"{solved}."


def plain(name: str) -> str:
    """user_stop -> user stop."""
    return name.replace("_", " ")


def _gain(one: Evaluated) -> Figure | None:
    """The paired difference to the model before it."""
    told = _compared(one)
    return told and Figure(told.difference.mean, told.difference.interval)


def _compared(one: Evaluated) -> Comparison | None:
    """None for the first model, and without a task in common."""
    told = one.before and compare(one.before.summary, one.summary)
    return told if told and told.difference is not None else None


def _figure(rate: Any) -> Figure:
    return Figure(None) if rate is None else Figure(rate.value, rate.interval, rate.tasks)
