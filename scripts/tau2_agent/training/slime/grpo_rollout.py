"""A rollout of GRPO under slime: which groups are played, which of them are trained on.

    --rollout-function-path tau2_agent.training.slime.grpo_rollout.generate_rollout
    --disable-rollout-global-dataset

In the place of `slime.rollout.sglang_rollout.generate_rollout`, which fills a rollout with the
groups that finish first, so that short episodes win, and begins a whole batch more whenever one
group is dropped. Tasks are chosen here (task_choice.py), so slime's data source has nothing to do
and no position to save. A sample's index and its group's are computed from the rollout's number.

How a group is played, seeded, aborted and evaluated stays slime's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tau2_agent.benchmark.tasks import read_task_file
from tau2_agent.files import read_jsonl
from tau2_agent.rollout.trajectory import JobStop
from tau2_agent.training import objective
from tau2_agent.training.groups import Episode, Group, Plan, draws, fill, kept, notice, summary
from tau2_agent.training.slime.records import record
from tau2_agent.training.slime.router import option
from tau2_agent.training.task_choice import TaskChoice, played

logger = logging.getLogger(__name__)

_flat = objective.FlatRollouts()


def generate_rollout(args: Any, rollout_id: int, data_source: Any, evaluation: bool = False) -> Any:
    """Return slime's output of a rollout, or of an evaluation, which is slime's own."""
    from slime.rollout.base_types import RolloutFnTrainOutput
    from slime.utils.async_utils import run

    try:
        if evaluation:
            from slime.rollout.sglang_rollout import eval_rollout

            return run(eval_rollout(args, rollout_id))[0]
        began = time.perf_counter()
        groups = run(play_groups(args, rollout_id))
        told = summary(groups)
        if note := notice(_flat, groups):
            told["note"] = note
        record(args, rollout_id, groups, told, time.perf_counter() - began)
        _flat.check()
    except JobStop as stop:
        # slime's own traceback hides the reason; the job's log is read for this line
        logger.error("tau2 stops: %s", stop)
        raise
    tracked = {f"rollout/dropped/{why}": count for why, count in told["dropped"].items()}
    tracked |= {f"rollout/{key}": told[key] for key in ("played_groups", "tokens_played")}
    samples = [[episode.made for episode in group.episodes] for group in kept(groups)]
    return RolloutFnTrainOutput(samples=samples, metrics=tracked)


async def play_groups(args: Any, rollout_id: int) -> list[Group]:
    """Play a rollout; returns all its groups, see `groups.fill`."""
    from slime.rollout.sglang_rollout import GenerateState, abort, generate_and_rm_group

    state, wanted = GenerateState(args), plan(args)

    async def play(group: Group) -> list[Episode]:
        samples = await generate_and_rm_group(
            args,
            new_samples(args, rollout_id * wanted.most + group.number, group.task_id),
            sampling_params=state.sampling_params.copy(),
            evaluation=False,
        )
        return [as_episode(sample) for sample in samples]

    async def cut_short(running: Iterable[Any]) -> None:
        state.pendings = set(running)
        await abort(args, rollout_id)

    path = Path(args.tau2_rollouts_path)
    before = played(read_jsonl(path) if path.exists() else (), before=rollout_id)
    choice = _choice(
        args.tau2_tasks_path,
        wanted.groups,
        int(option(args, "rollout_seed", 0)),
        option(args, "tau2_curriculum", "none"),
        option(args, "tau2_issues", "proportional"),
    )
    try:
        return await fill(wanted, draws(choice, rollout_id, before), play, cut_short)
    finally:
        state.reset()


def plan(args: Any) -> Plan:
    """How many groups, from slime's arguments."""
    return Plan(
        args.rollout_batch_size,
        resampled=int(option(args, "tau2_resampled_groups", 0)),
        ahead=int(option(args, "tau2_over_sampling_groups", 0)),
        in_order=option(args, "tau2_group_order", "drawn") == "drawn",
    )


def new_samples(args: Any, group_index: int, task_id: str) -> list[Any]:
    """slime's samples of one group, still to be played."""
    from slime.utils.types import Sample

    size = args.n_samples_per_prompt
    return [
        Sample(
            group_index=group_index,
            index=group_index * size + number,
            prompt=task_id,
            metadata={"task_id": task_id},
        )
        for number in range(size)
    ]


def as_episode(sample: Any) -> Episode:
    """A played sample as a group's episode; one that was aborted, or never began, has no reward."""
    told = sample.metadata
    if sample.status.value not in ("completed", "truncated"):
        return Episode(sample, None, None, 0, 0, f"{told.get('end')}: {told.get('detail')}")
    reward = sample.reward
    return Episode(
        sample, reward["reward"], reward["shaped"], len(sample.tokens), told["agent_turns"]
    )


@lru_cache(maxsize=1)
def _choice(tasks: str, prompts: int, seed: int, curriculum: str, issues: str) -> TaskChoice:
    task_ids: Sequence[str] = [row.task_id for row in read_task_file(tasks)]
    return TaskChoice(task_ids, prompts=prompts, seed=seed, curriculum=curriculum, issues=issues)
