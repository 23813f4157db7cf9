"""Playing every task of a split, many at once, with a row for each episode as it ends.

Who plays is the caller's: a model (evaluate_tau2.py) or an agent that is none (compare_users.py).
An episode that the infrastructure ended is played again, up to three times.
"""

from __future__ import annotations

import asyncio

from tau2_agent.records.episode_row import episode_row
from tau2_agent.rollout.episode import together
from tau2_agent.rollout.trajectory import INFRASTRUCTURE_ENDS

# The code that decides how an episode goes, and the code that decides what it is worth.
PLAYING = (
    "tau2_agent.rollout.model_rollout",
    "tau2_agent.users.registry",
    "tau2_agent.inference.sglang_client",
    "tau2_agent.inference.transformers_policy",
)
SCORING = ("tau2_agent.reward.scoring", "tau2_agent.records.episode_row")
ATTEMPTS = 3  # for an episode that the infrastructure ended


async def play_each(jobs, episode, simulators, args, write, failures=()) -> None:
    """Play every (task, trial) of `jobs`, at most `--concurrency` at once.

    episode: (task, session, sample) -> Trajectory. write: called with the row and the trajectory of
    each. failures: further counts of failures beside the user's. Raises JobStop.
    """

    gate = asyncio.Semaphore(args.concurrency)

    async def one(task, trial: int) -> None:
        async with gate:
            for attempt in range(1, ATTEMPTS + 1):
                session = f"{args.seed}/{task.id}/{trial}/{attempt}"
                trajectory = await episode(task, session, str(trial))
                if trajectory.end not in INFRASTRUCTURE_ENDS:
                    break
            row = episode_row(task, trajectory, trial=trial, attempts=attempt, weights=args.weights)
            write(row, trajectory)
            for share in (simulators.failures, *failures):
                share.count(trajectory)

    # A mistake of this program in one episode ends all of them: nothing is scored by accident.
    try:
        await together(one(task, trial) for task, trial in jobs)
    finally:
        await simulators.close()
