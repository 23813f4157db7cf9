"""Episodes side by side end as one."""

from __future__ import annotations

import asyncio

import pytest

from tau2_agent.rollout.episode import together
from tau2_agent.rollout.trajectory import JobStop


def test_results_are_in_the_order_of_the_coroutines() -> None:
    async def late(number: int) -> int:
        await asyncio.sleep(0.01 * (3 - number))
        return number

    assert asyncio.run(together(late(number) for number in range(3))) == [0, 1, 2]


async def fail(error: Exception, after: float = 0.0) -> None:
    await asyncio.sleep(after)
    raise error


def test_a_stop_cancels_the_others_and_arrives_as_itself() -> None:
    ended = []

    async def other() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    with pytest.raises(JobStop, match="the first"):
        asyncio.run(together([other(), fail(JobStop("the first")), fail(JobStop("second"), 0.01)]))
    assert ended == [True]


def test_a_mistake_is_not_hidden_by_a_stop() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(together([fail(JobStop("stop")), fail(ZeroDivisionError())]))
    assert caught.value.subgroup(ZeroDivisionError) is not None
