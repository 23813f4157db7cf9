"""The table over evaluations as a CSV: numbers in full, intervals as two columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tau2_agent.evaluation.rates import Baseline, Rate
from tau2_agent.evaluation.statistics import Interval
from tau2_agent.evaluation.table import Row, counted


def csv_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """A line for each evaluation, after the lines of the baselines of its split."""
    lines, seen = [], set()
    for row in rows:
        if row.summary.split not in seen:
            seen.add(row.summary.split)
            lines += [_baseline(row, baseline) for baseline in row.summary.baselines]
        lines.append(_evaluation(row))
    return lines


def _evaluation(row: Row) -> dict[str, Any]:
    summary, gain = row.summary, row.gain
    values: dict[str, Any] = {
        "run": row.run,
        "split": summary.split,
        "stage": summary.stage,
        "checkpoint": summary.checkpoint,
        "seed": summary.manifest.seed,
        "n": sum(task.counted > 0 for task in summary.tasks),
        "total_tasks": summary.total_tasks,
        "trials": summary.trials,
        "successes": summary.successes,
        "excluded": summary.excluded,
    }
    for name in ("pass_at_1", "avg_reward", "avg_partial_score", "avg_steps"):
        values |= _figure(name, getattr(summary, name), getattr(summary, f"{name}_interval"))
    values |= _rate("lower_bound", summary.lower_bound)
    values |= _figure("gain", gain and gain.difference.mean, gain and gain.difference.interval)
    values |= {"won": gain and gain.won, "lost": gain and gain.lost}
    for name in ("pass_hat_k", "pass_at_k"):
        intervals = getattr(summary, f"{name}_interval")
        for k, value in getattr(summary, name).items():
            if k > 1:
                values |= _figure(name.replace("k", str(k)), value, intervals.get(k))
    for facet, parts in summary.groups.items():
        for part, rate in parts.items():
            values |= _rate(f"{facet}_{part}", rate)
    values |= {name: entry["total"] for name, entry in summary.counters.items()}
    values |= {f"user_said_{name}": count for name, count in summary.user_ends.items()}
    values |= {
        "copies": summary.copies,
        "selection": summary.selection["rule"],
        "backend": summary.manifest.backend,
        "prompt": summary.manifest.prompt,
        "user_simulator": summary.manifest.user_simulator,
        "user_errors": counted(summary.user_errors),
    }
    usage = summary.user_usage or {}
    for name in ("prompt_tokens", "completion_tokens", "dollars"):
        values[f"user_{name}"] = usage.get(name)
    return values


def _baseline(row: Row, baseline: Baseline) -> dict[str, Any]:
    return {
        "run": row.run,
        "split": row.summary.split,
        "stage": baseline.agent,
        "n": baseline.all.tasks,
        "total_tasks": baseline.all.tasks,
        "trials": 1,
        **_rate("pass_at_1", baseline.all),
        **_rate("kind_fix", baseline.fix),
        **_rate("kind_transfer", baseline.transfer),
        "user_simulator": baseline.user,
    }


def _rate(name: str, rate: Rate) -> dict[str, Any]:
    return _figure(name, rate.value, rate.interval)


def _figure(name: str, value: float | None, interval: Interval | None) -> dict[str, Any]:
    low, high = (interval.low, interval.high) if interval else (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}
