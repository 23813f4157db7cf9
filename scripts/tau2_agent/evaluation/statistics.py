"""How sure a number is: intervals of rates and averages, paired differences, pass^k and pass@k.

Averages are over tasks, each task with one vote; what is resampled is tasks, because episodes of
one task resemble each other. Random numbers are seeded: the same rows give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from pydantic import BaseModel

LEVEL = 0.95
RESAMPLES = 10_000
_CHUNK = 1_000  # resamples at once: 1000 x 2285 tasks are 18 MB


class Interval(BaseModel):
    """A confidence interval, and how it was made."""

    low: float
    high: float
    level: float = LEVEL
    method: str


class Difference(BaseModel):
    """after - before, averaged over the tasks (and seeds) that both have."""

    mean: float
    interval: Interval
    tasks: int
    seeds: int
    unpaired: int  # tasks that only one side has, in any seed; they are left out


def figure(
    value: float | None, interval: Interval | None = None, sign: str = "", digits: int = 3
) -> str:
    """A number for a table, its interval in brackets; "-" for None. sign: "+" shows it always."""
    if value is None:
        return "-"
    text = f"{value:{sign}.{digits}f}"
    if interval is not None:
        text += f" [{interval.low:{sign}.2f}, {interval.high:{sign}.2f}]"
    return text


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a rate of n independent trials (Wilson 1927). Needs n > 0.

    Unlike mean +- 1.96 standard errors it stays inside [0, 1] and is not empty at 0 or n.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n} trials make no rate")
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate, spread = successes / n, z * z / n
    centre = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / n + spread / (4 * n)) / (1 + spread)
    # At 0 and n the exact end is 0 and 1; rounding must not miss it.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(low=low, high=high, level=level, method="wilson")


def bootstrap_mean(values: Sequence[float], level: float = LEVEL, seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean: `values` (one a task) are drawn with replacement.

    It has no width when all values are equal; for a rate near 0 or 1 use `wilson`.
    """
    if not len(values):
        raise ValueError("no value, no interval")
    return _bootstrap(np.asarray(values)[None, :], level, seed)


def paired_difference(
    before: Sequence[Mapping[str, float]],
    after: Sequence[Mapping[str, float]],
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """Compare evaluations of the same tasks: the mean of after - before, with its interval.

    Each argument holds one mapping (task id -> value) a training seed; `before[i]` and `after[i]`
    belong together. Tasks and, if there are several, seeds are drawn with replacement, each on
    its own (two-way bootstrap). Few seeds make the interval somewhat too narrow. Raises
    ValueError for unequal numbers of seeds and when no task is common to all.
    """
    if not before or len(before) != len(after):
        raise ValueError(f"{len(before)} evaluations before and {len(after)} after do not pair")
    every = [*before, *after]
    common = sorted(set.intersection(*(set(values) for values in every)))
    if not common:
        raise ValueError("the evaluations have no task in common")
    differences = np.array(
        [[new[t] - old[t] for t in common] for old, new in zip(before, after, strict=True)]
    )
    return Difference(
        mean=float(differences.mean()),
        interval=_bootstrap(differences, level, seed),
        tasks=len(common),
        seeds=len(before),
        unpaired=len(set.union(*(set(values) for values in every))) - len(common),
    )


def pass_hat_k(trials: int, successes: int, k: int) -> float:
    """pass^k of a task: the chance that k trials all succeed, C(c, k) / C(n, k).

    tau2's formula (`tau2.metrics.agent_metrics`, arXiv:2406.12045). Needs k <= trials.
    """
    _check_k(trials, successes, k)
    return math.comb(successes, k) / math.comb(trials, k)


def pass_at_k(trials: int, successes: int, k: int) -> float:
    """pass@k of a task: the chance that one of k trials succeeds, 1 - C(n - c, k) / C(n, k).

    The unbiased estimate of arXiv:2107.03374. Not to be mistaken for pass^k. Needs k <= trials.
    """
    _check_k(trials, successes, k)
    return 1.0 - math.comb(trials - successes, k) / math.comb(trials, k)


def _check_k(trials: int, successes: int, k: int) -> None:
    if not (0 <= successes <= trials and 1 <= k <= trials):
        raise ValueError(f"k = {k} with {successes} successes of {trials} trials")


def _bootstrap(values: np.ndarray, level: float, seed: int) -> Interval:
    """Percentile interval of the mean of `values`, of shape (seeds, tasks)."""
    seeds, tasks = values.shape
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(RESAMPLES // _CHUNK):
        # Drawing with replacement n of n is a multinomial count for each.
        by_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), _CHUNK) / seeds
        by_task = rng.multinomial(tasks, np.full(tasks, 1 / tasks), _CHUNK) / tasks
        means.append(((by_seed @ values) * by_task).sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    method = "bootstrap over tasks" + (" and seeds" if seeds > 1 else "")
    return Interval(low=float(low), high=float(high), level=level, method=method)
