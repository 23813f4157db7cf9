"""Episodes side by side: the first that cannot go on ends all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from tau2_agent.rollout.trajectory import JobStop

T = TypeVar("T")


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all of them and return their results in order.

    When one raises, the others are cancelled. Raises the first JobStop itself; mistakes of this
    program as the ExceptionGroup that they come in, with the stops beside them.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        stops, mistakes = errors.split(JobStop)
        if stops is None or mistakes is not None:
            raise
        # not `except*`: on Python 3.11.2, Debian 12's, what it raises arrives in a group again
        raise stops.exceptions[0] from None
    return [task.result() for task in tasks]
