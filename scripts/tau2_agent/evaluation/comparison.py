"""Two models on the same tasks: what the second one won, what it lost, and by how much.

A task is won when its share of successes rose, lost when it fell, and the same else. The difference
is paired task by task; its interval is `statistics.paired_difference`'s.
"""

from __future__ import annotations

from pydantic import BaseModel

from tau2_agent.evaluation.results import EvaluationSummary, task_values
from tau2_agent.evaluation.statistics import Difference, paired_difference


class Comparison(BaseModel):
    """`after` against `before`. `difference` is None without a task in common."""

    won: list[str]
    lost: list[str]
    same: int
    difference: Difference | None


def compare(before: EvaluationSummary, after: EvaluationSummary) -> Comparison:
    """Compare pass@1 over the tasks that count in both."""
    old, new = task_values(before), task_values(after)
    common = [task_id for task_id in new if task_id in old]
    return Comparison(
        won=[task_id for task_id in common if new[task_id] > old[task_id]],
        lost=[task_id for task_id in common if new[task_id] < old[task_id]],
        same=sum(new[task_id] == old[task_id] for task_id in common),
        difference=paired_difference([old], [new]) if common else None,
    )
