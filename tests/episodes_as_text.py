"""Episodes of the scripted agent and user as text, to be compared; also in a process of their own.

python -c "import episodes_as_text; episodes_as_text.main()" TASK_ID
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import measure  # noqa: F401  first: it quiets tau2
from tau2.domains.telecom import tools as telecom_tools

from tau2_agent.benchmark.tasks import get_task
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import run_episode
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user


def same_bill_ids(put=setattr):
    """tau2 draws the id of a new bill, and its own evaluator refuses a replay with another."""
    put(telecom_tools, "uuid", SimpleNamespace(uuid4=lambda: SimpleNamespace(hex="0" * 32)))


def without_time(messages):
    """Messages as dictionaries; cost is tau2's of its greeting, 0.0, where ours says nothing."""
    rows = [message.model_dump(exclude={"timestamp", "turn_idx"}) for message in messages]
    return [row | {"cost": None} for row in rows]


def state(environment):
    """Both databases."""
    return environment.tools.db.model_dump(), environment.user_tools.db.model_dump()


class Pausing:
    """An agent that lets all other episodes take a turn before each of its own."""

    tokens = None

    def __init__(self, agent):
        self.agent = agent

    async def act(self, new):
        await asyncio.sleep(0)
        return await self.agent.act(new)


async def played(task_id: str) -> str:
    """All that an episode is and leaves."""
    task = get_task(task_id)
    episode = await run_episode(task, Pausing(make_agent("scripted")), make_user("scripted", task))
    kept = [without_time(episode.messages), episode.user_report, episode.steps, episode.end]
    kept += [*state(episode.environment), score(episode, task).reward_info]
    kept.append(episode.environment.user_tools.default_vpn_details.model_dump())
    return json.dumps(kept, default=repr)


def alone(task_id: str) -> str:
    """The same in a fresh process."""
    run = subprocess.run(
        [sys.executable, "-c", "import episodes_as_text; episodes_as_text.main()", task_id],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def main() -> None:
    same_bill_ids()
    print(asyncio.run(played(sys.argv[1])))
