"""A part of a split's tasks, for evaluations that need not be whole.

tau2's files are sorted by issue, so that the first nine test tasks are of one kind. `draw` takes
tasks by the hash of their ids instead, each issue in proportion: the same ones every time, and
those of a smaller number are among those of a larger one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from tau2_agent.benchmark.tasks import faults


def draw(task_ids: Sequence[str], number: int) -> list[str]:
    """`number` of the tasks, or all if there are fewer, in their own order."""
    by_issue: dict[str, list[str]] = defaultdict(list)
    for task_id in sorted(task_ids, key=_hash):
        by_issue[faults(task_id)[0]].append(task_id)
    # The i-th of n tasks of an issue stands at (i + 1/2) / n: any start of the row is a fair share.
    places = {
        task_id: ((place + 0.5) / len(ids), _hash(task_id))
        for ids in by_issue.values()
        for place, task_id in enumerate(ids)
    }
    chosen = set(sorted(places, key=places.__getitem__)[:number])
    return [task_id for task_id in task_ids if task_id in chosen]


def _hash(task_id: str) -> str:
    return hashlib.sha256(task_id.encode()).hexdigest()
