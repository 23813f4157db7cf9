from __future__ import annotations

import asyncio

import pytest
from imported import as_trace
from official import scripted_episode

from tau2_agent.benchmark.tasks import load_tasks


@pytest.fixture(scope="session")
def solved():
    """Twenty traces that the scripted teacher solved; they are not to be changed."""

    async def play():
        return [as_trace(task, await scripted_episode(task)) for task in load_tasks("train")[:20]]

    return asyncio.run(play())
