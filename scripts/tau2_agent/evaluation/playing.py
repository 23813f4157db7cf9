"""Playing every task of a split, many at once, with a row for each episode as it ends.

Who plays is the caller's: a model (evaluate_tau2.py) or an agent that is none (compare_users.py).
An episode that the infrastructure ended is played again, up to three times.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

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
SCORING = ("tau2_agent.reward.scoring",)
ATTEMPTS = 3  # for an episode that the infrastructure ended


async def play_each(jobs, episode, simulators, args, write) -> None:
    """Play every (task, trial) of `jobs`, at most `--concurrency` at once; `write` each row.

    episode: (task, session, sample) -> Trajectory. Raises JobStop.
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
            write(row)
            simulators.failures.count(trajectory)

    # A mistake of this program in one episode ends all of them: nothing is scored by accident.
    try:
        await together(one(task, trial) for task, trial in jobs)
    finally:
        await simulators.close()


@contextlib.contextmanager
def progress(total: int, done: int) -> Iterator[Any]:
    """A bar on a terminal, a line now and then elsewhere; yields a function to call per row."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    solved, count, began = 0, done, time.time()
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        line = bar.add_task("episodes", total=total, completed=done, visible=console.is_terminal)

        def advance(row: Any) -> None:
            nonlocal solved, count
            count += 1
            solved += row.solved
            bar.update(line, completed=count, description=f"episodes ({solved} solved)")
            if not console.is_terminal and (count == total or count % max(total // 4, 1) == 0):
                seconds = time.time() - began
                print(f"{count}/{total} episodes, {solved} solved, {seconds:.0f} s", flush=True)

        yield advance
