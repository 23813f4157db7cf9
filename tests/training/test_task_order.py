"""The tasks of a training's rollouts, and TRL's sampler that drew them before."""

from __future__ import annotations

import pytest
from trl.trainer.utils import RepeatSampler

from tau2_agent.errors import InputError
from tau2_agent.training.task_order import task_order

TASKS = [f"task {number}" for number in range(10)]


@pytest.mark.parametrize(("prompts", "rollouts", "passes"), [(3, 3, 1), (3, 8, 3), (10, 2, 2)])
def test_it_is_the_order_of_trl_s_sampler(prompts, rollouts, passes) -> None:
    sampler = RepeatSampler(TASKS, mini_repeat_count=1, batch_size=prompts, seed=7)
    drawn = [TASKS[index] for _ in range(passes) for index in sampler]
    order = task_order(TASKS, rollouts=rollouts, prompts=prompts, seed=7)
    assert order == drawn[: rollouts * prompts] and len(order) == rollouts * prompts


def test_more_rollouts_add_to_the_end() -> None:
    few, many = (task_order(TASKS, rollouts=n, prompts=4, seed=0) for n in (3, 9))
    assert many[: len(few)] == few
    assert task_order(TASKS, rollouts=3, prompts=4, seed=1) != few


def test_fewer_tasks_than_prompts_are_refused() -> None:
    with pytest.raises(InputError, match=r"prompts_per_rollout 11 .* 10 tasks .* lower it"):
        task_order(TASKS, rollouts=1, prompts=11, seed=0)
