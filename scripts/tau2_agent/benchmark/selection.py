"""A part of a split's tasks, where not all are played.

tau2's files are sorted by issue, so that the first nine test tasks are of one kind. `draw` takes
tasks by the hash of their ids instead, each issue in proportion: the same ones every time, and
those of a smaller number are among those of a larger one. `draw_evenly` takes as many of each issue
(stratified sampling with equal allocation), for nine tenths of tau2's extra tasks are of one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from tau2_agent.benchmark.tasks import faults


def draw(task_ids: Sequence[str], number: int) -> list[str]:
    """`number` of the tasks, or all if there are fewer, in their own order."""
    by_issue = _by_issue(task_ids)
    # The i-th of n tasks of an issue stands at (i + 1/2) / n: any start of the row is a fair share.
    places = {
        task_id: ((place + 0.5) / len(ids), _hash(task_id))
        for ids in by_issue.values()
        for place, task_id in enumerate(ids)
    }
    chosen = set(sorted(places, key=places.__getitem__)[:number])
    return [task_id for task_id in task_ids if task_id in chosen]


def draw_evenly(task_ids: Sequence[str], number: int) -> list[str]:
    """`number` of the tasks, or all if there are fewer, as many of each issue as it has at most."""
    by_issue = _by_issue(task_ids)
    sizes = [len(ids) for ids in by_issue.values()]
    shares = even_shares(sizes, min(number, sum(sizes)))
    chosen = {i for ids, share in zip(by_issue.values(), shares, strict=True) for i in ids[:share]}
    return [task_id for task_id in task_ids if task_id in chosen]


def even_shares(sizes: Sequence[int], places: int, turn: int = 0) -> list[int]:
    """How many of `places` each issue has. sizes: its tasks, which bound its share.

    `places` is at most the sum of `sizes`. What does not go evenly rotates with the turns.
    """
    shares, open_issues, left = list(sizes), list(range(len(sizes))), places
    while full := [i for i in open_issues if sizes[i] <= left // len(open_issues)]:
        open_issues = [i for i in open_issues if i not in full]
        left -= sum(sizes[i] for i in full)
    if not open_issues:
        return shares
    each, more = divmod(left, len(open_issues))
    for place, i in enumerate(open_issues):
        shares[i] = each + ((place - turn * more) % len(open_issues) < more)
    return shares


def _by_issue(task_ids: Sequence[str]) -> dict[str, list[str]]:
    by_issue: dict[str, list[str]] = defaultdict(list)
    for task_id in sorted(task_ids, key=_hash):
        by_issue[faults(task_id)[0]].append(task_id)
    return by_issue


def _hash(task_id: str) -> str:
    return hashlib.sha256(task_id.encode()).hexdigest()
