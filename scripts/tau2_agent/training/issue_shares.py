"""A rollout's places shared evenly over issues: stratified sampling with equal allocation.

Functions of the rollout's number and the seed alone, so that a resumed training shares as before.
"""

from __future__ import annotations

import random
from collections.abc import Sequence


def even_shares(sizes: Sequence[int], places: int, rollout: int) -> list[int]:
    """How many of a rollout's places each issue has. sizes: its tasks, which bound its share.

    `places` is at most the sum of `sizes`. What does not go evenly rotates with the rollouts.
    """
    shares, open_issues, left = list(sizes), list(range(len(sizes))), places
    while full := [i for i in open_issues if sizes[i] <= left // len(open_issues)]:
        open_issues = [i for i in open_issues if i not in full]
        left -= sum(sizes[i] for i in full)
    if not open_issues:
        return shares
    each, more = divmod(left, len(open_issues))
    for place, i in enumerate(open_issues):
        shares[i] = each + ((place - rollout * more) % len(open_issues) < more)
    return shares


def in_passes(task_ids: Sequence[str], shares: Sequence[int], seed: str) -> list[str]:
    """An issue's tasks in the last of some rollouts: passes through them in random order.

    shares: how many each rollout has, at most all of them. A pass that ends within a rollout is
    followed by the next one's first tasks that the rollout has not had: none comes twice.
    """
    left: list[str] = []
    now: list[str] = []
    passes = 0
    for share in shares:
        now, left = left[:share], left[share:]
        if len(now) < share:
            drawn = random.Random(f"{seed}/{passes}").sample(task_ids, len(task_ids))
            passes += 1
            more = [task_id for task_id in drawn if task_id not in now][: share - len(now)]
            left = [task_id for task_id in drawn if task_id not in more]
            now += more
    return now
