"""Which tasks each rollout plays: drawn once for a whole training, so that a resume draws alike.

TRL's own sampler draws as it goes. A training that resumed after its first pass through the tasks
began that draw again, and went on with other tasks than it would have without the interruption.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tau2_agent.errors import InputError


def require_enough(tasks: int, prompts: int) -> None:
    """Raise InputError for fewer tasks than a rollout's prompts."""
    if prompts > tasks:
        raise InputError(
            f"grpo.prompts_per_rollout {prompts} is more than the {tasks} tasks that there are to "
            "draw from; lower it, or name a larger split in tasks.grpo"
        )


def task_order(task_ids: Sequence[str], *, rollouts: int, prompts: int, seed: int) -> list[str]:
    """The tasks of all rollouts, `prompts` for each, one after another.

    Passes through the tasks in random order, as TRL's `RepeatSampler` draws them: what is left of a
    pass and fills no rollout is not played in it. More rollouts add to the end. Raises InputError
    as `require_enough` does.
    """
    import torch  # a second; who only asks for `require_enough` has no need of it

    require_enough(len(task_ids), prompts)
    generator = torch.Generator().manual_seed(seed)
    order: list[str] = []
    while len(order) < rollouts * prompts:
        drawn = torch.randperm(len(task_ids), generator=generator).tolist()
        order += [task_ids[i] for i in drawn[: len(drawn) // prompts * prompts]]
    return order[: rollouts * prompts]


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
