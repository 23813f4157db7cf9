"""What needs no model, on the tasks of an evaluation: the numbers that a score is read against.

Each baseline plays every task once with the scripted user, at a few milliseconds an episode. Beside
a workflow the numbers are kept in a file that is named by all that decides them, so that several
models on the same tasks play them once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tau2_agent.benchmark.data_files import data_sha256
from tau2_agent.benchmark.facets import facets
from tau2_agent.benchmark.tasks import get_task
from tau2_agent.evaluation.rates import Baseline, rate
from tau2_agent.files import write_text
from tau2_agent.records.episode_row import SOLVED
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import run_episode
from tau2_agent.source_code import code_digest
from tau2_agent.teachers.baselines import BASELINES, make_agent
from tau2_agent.users.registry import make_user

CACHE = Path(".snakemake/tau2_baselines")
USER = "scripted"
LABELS = {
    "do_nothing": "does nothing",
    "transfer_at_once": "transfers at once",
    "blind_script": "fixed script",
    "scripted": "scripted teacher",
}


_LIST = TypeAdapter(list[Baseline])


def baselines(task_ids: Sequence[str], cache: Path = CACHE) -> list[Baseline]:
    """The baselines on these tasks, from `cache` if they were played before.

    The folder is made beside what is there; where its parent is missing nothing is kept.
    """
    decides = json.dumps([sorted(task_ids), data_sha256(), code_digest(__name__)])
    path = cache / f"{hashlib.sha256(decides.encode()).hexdigest()[:12]}.json"
    with contextlib.suppress(OSError, ValidationError):
        return _LIST.validate_json(path.read_bytes())
    made = [_play(agent, task_ids) for agent in BASELINES]
    if cache.parent.is_dir():
        with contextlib.suppress(OSError):  # what cannot be written is played again
            write_text(path, _LIST.dump_json(made, indent=2).decode() + "\n")
    return made


def _play(agent: str, task_ids: Sequence[str]) -> Baseline:
    async def play_all() -> dict[str, float]:
        solved = {}
        for task_id in task_ids:
            task = get_task(task_id)
            trajectory = await run_episode(task, make_agent(agent), make_user(USER, task))
            solved[task_id] = float(score(trajectory, task).reward >= SOLVED)
        return solved

    solved = asyncio.run(play_all())
    of_kind = {
        kind: rate([value for task_id, value in solved.items() if facets(task_id).kind == kind])
        for kind in ("fix", "transfer")
    }
    every = rate(list(solved.values()))
    return Baseline(agent=agent, label=LABELS[agent], user=USER, all=every, **of_kind)
