"""Shares of tasks with their intervals: of a whole evaluation, and of its parts.

Which trials count. A trial that the agent ended, or that a limit ended, counts, whatever its score:
also one that the user simulator gave up as out of scope. A trial that the infrastructure ended (the
user simulator or the server failed) is played again up to twice and then left out. A task counts if
one of its trials does, with the mean over these; pass^k and pass@k are over trials that counted, up
to the least number that any counting task has. Beside pass@1 stands the bound in which every trial
that was left out, and every task without any other, is a failure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from pydantic import BaseModel

from tau2_agent.benchmark.facets import FACETS, facets
from tau2_agent.benchmark.tasks import is_task
from tau2_agent.evaluation.statistics import Interval, bootstrap_mean, wilson
from tau2_agent.records.counters import LONGEST


class Rate(BaseModel):
    """A mean over tasks of values in [0, 1]. `value` and `interval` are None without a task."""

    value: float | None = None
    interval: Interval | None = None
    tasks: int = 0


class Baseline(BaseModel):
    """pass@1 of an agent without a model, over all tasks and over those of each kind."""

    agent: str  # a name of teachers.baselines.AGENTS
    label: str
    user: str
    all: Rate
    fix: Rate
    transfer: Rate


def rate(values: Sequence[float]) -> Rate:
    """The mean of one value a task, each in [0, 1], with its interval.

    Wilson's interval if all values are 0 or 1, as with one trial a task, and bootstrap over tasks
    else. Bootstrap has no width when all tasks agree, Wilson's has.
    """
    if not values:
        return Rate()
    if set(values) <= {0.0, 1.0}:
        interval = wilson(round(sum(values)), len(values))
    else:
        interval = bootstrap_mean(values)
    return Rate(value=fmean(values), interval=interval, tasks=len(values))


def rates_by_facet(values: Mapping[str, float]) -> dict[str, dict[str, Rate]]:
    """Facet -> its value -> rate of the tasks that have it. values: task id -> value in [0, 1].

    A task that the installed tau2 does not have is in no part.
    """
    about = {task_id: facets(task_id) for task_id in values if is_task(task_id)}
    return {
        name: {
            part: rate([values[task_id] for task_id in ids])
            for part, ids in sorted(_parts(about, of).items())
        }
        for name, of in FACETS.items()
    }


def _parts(about: Mapping, of: Callable) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = defaultdict(list)
    for task_id, its in about.items():
        parts[of(its)].append(task_id)
    return parts


def totals(counters: Iterable[Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Name -> {"total": how often, "episodes": in how many}, of counters of episodes.

    Of `counters.LONGEST` the total is the most that an episode has.
    """
    sums: dict[str, dict[str, int]] = {}
    for counts in counters:
        for name, number in counts.items():
            entry = sums.setdefault(name, {"total": 0, "episodes": 0})
            total = entry["total"]
            entry["total"] = max(total, number) if name in LONGEST else total + number
            entry["episodes"] += 1
    return sums
