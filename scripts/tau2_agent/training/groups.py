"""Dynamic sampling: which groups of episodes a rollout of GRPO trains on, and what was dropped.

A group is the episodes of one task that are compared with each other. One whose finished episodes
all have the same shaped reward teaches nothing: every advantage is 0. It is dropped and another
task is played in its place (DAPO, arXiv:2503.14476, section 3.2), up to a number of groups more
than the rollout trains on. After that a group is taken as it is, so that a policy which solves
everything, or nothing, cannot keep a rollout going.

Groups beside the batch may be started ahead (over-sampling), which spares the wait for them. Those
that are not needed are dropped. Taken in the order drawn, which groups these are does not depend on
how long their episodes are; taken as they finish, long ones lose. `summary` measures that.

Which task is next and how a group is played are the caller's: task_choice.py, the two backends.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from tau2_agent.records.episode_row import SOLVED
from tau2_agent.rollout.trajectory import JobStop
from tau2_agent.training import objective
from tau2_agent.training.task_choice import ALL_FAILED, ALL_SOLVED, Played, TaskChoice

EQUAL = "equal"  # the same shaped reward, without all or none being solved
NOT_FINISHED = "not_finished"  # fewer than two episodes finished: nothing to compare
SURPLUS = "surplus"  # not needed; its episodes may have been cut off


class Episode(NamedTuple):
    """An episode of a group.

    made: what the backend trains on. reward, shaped: tau2's own and the one that is trained on;
    None if the episode says nothing of the policy. failure: then, why.
    """

    made: Any
    reward: float | None
    shaped: float | None
    tokens: int
    turns: int
    failure: str = ""


@dataclass(eq=False)
class Group:
    """number: in the order drawn within its rollout. dropped: why it is not trained on."""

    number: int
    task_id: str
    episodes: Sequence[Episode] = ()
    finished: int | None = None  # in the order finished; None: it is being played
    dropped: str = ""

    def scored(self) -> list[Episode]:
        """The episodes that count."""
        return [episode for episode in self.episodes if episode.shaped is not None]

    def without_spread(self) -> str:
        """Why the group teaches nothing; "" if it does."""
        scored = self.scored()
        if len(scored) < 2:
            return NOT_FINISHED
        if objective.has_spread([episode.shaped for episode in scored]):
            return ""
        if all(episode.reward >= SOLVED for episode in scored):
            return ALL_SOLVED
        return ALL_FAILED if all(episode.reward <= 0 for episode in scored) else EQUAL


@dataclass(frozen=True)
class Plan:
    """groups: that a rollout trains on. resampled: at most so many more are played in all.

    ahead: how many of those begin with the rollout. in_order: take groups in the order drawn, else
    as they finish.
    """

    groups: int
    resampled: int = 0
    ahead: int = 0
    in_order: bool = True

    @property
    def most(self) -> int:
        """Groups that a rollout plays at most."""
        return self.groups + self.resampled


def draws(
    choice: TaskChoice, rollout: int, before: Sequence[Played]
) -> Callable[[Sequence[Group], Group | None], str]:
    """`fill`'s draw: what `choice` says, after the episodes of earlier rollouts and of this one."""
    first = choice.first(rollout, before)

    def draw(groups: Sequence[Group], replaced: Group | None) -> str:
        number = len(groups)
        if number < len(first):
            return first[number]
        now = [
            Played(rollout, group.task_id, episode.reward)
            for group in groups
            for episode in group.scored()
        ]
        beside = [group.task_id for group in groups]
        instead = (replaced.task_id, replaced.dropped) if replaced is not None else ()
        return choice.another(rollout, number, [*before, *now], beside, *instead)

    return draw


async def fill(
    plan: Plan,
    draw: Callable[[Sequence[Group], Group | None], str],
    play: Callable[[Group], Awaitable[Sequence[Episode]]],
    cut_short: Callable[[Iterable[asyncio.Task]], Awaitable[None]] | None = None,
) -> list[Group]:
    """Play a rollout; returns all its groups in the order drawn, `plan.groups` of them not dropped.

    draw: the task of one more group, after the groups so far, in the place of the second if it is
    not None. play: a group's episodes. cut_short: ends the playing of groups that are not needed
    any more, and waits for it. Raises what these raise, and JobStop when a whole batch, or two of
    its size in a row, finished no episode.
    """
    groups: list[Group] = []
    running: dict[asyncio.Task, Group] = {}
    count = silent = 0

    def begin(replaced: Group | None = None) -> None:
        group = Group(len(groups), draw(groups, replaced))
        groups.append(group)
        running[asyncio.create_task(play(group))] = group

    try:
        for _ in range(plan.groups + plan.ahead):
            begin()
        while not (taken := _taken(groups, plan)):
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda one: running[one].number):
                group = running.pop(task)
                group.episodes, group.finished = task.result(), count
                count += 1
                silent = 0 if group.scored() else silent + 1
                if silent >= 2 * plan.groups:
                    raise _nothing_finished(groups)
                standing = sum(not one.dropped for one in groups)
                if standing > plan.groups or len(groups) < plan.most:
                    group.dropped = group.without_spread()
                    if group.dropped and standing == plan.groups:
                        begin(group)
        if running and cut_short is not None:
            await cut_short(running)
            for task, group in running.items():
                group.episodes = task.result()
            running.clear()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if not any(group.scored() for group in taken):
        raise _nothing_finished(groups)
    for group in groups:
        if not group.dropped and group not in taken:
            group.dropped = SURPLUS
    return groups


def kept(groups: Iterable[Group]) -> list[Group]:
    """The groups that are trained on."""
    return [group for group in groups if not group.dropped]


def summary(groups: Sequence[Group]) -> dict[str, Any]:
    """What a rollout's line says of its groups: how many, what was dropped and why, length bias.

    tokens, agent_turns: means over the episodes that are trained on; tokens_played and
    agent_turns_played: over all that finished. Episodes that were cut off have no length.
    """
    told: dict[str, Any] = {
        "groups": len(kept(groups)),
        "groups_without_spread": sum(bool(group.without_spread()) for group in kept(groups)),
        "played_groups": len(groups),
        "dropped_groups": len(groups) - len(kept(groups)),
        "dropped": dict(Counter(group.dropped for group in groups if group.dropped)),
    }
    for ending, some in (("", kept(groups)), ("_played", groups)):
        scored = [episode for group in some for episode in group.scored()]
        told[f"tokens{ending}"] = fmean(one.tokens for one in scored)
        told[f"agent_turns{ending}"] = fmean(one.turns for one in scored)
    return told


def notice(flat: objective.FlatRollouts, groups: Sequence[Group]) -> str:
    """What `flat` has to say of the groups that a rollout trains on."""
    taken = kept(groups)
    scored = [episode for group in taken for episode in group.scored()]
    solved = all(episode.reward >= SOLVED for episode in scored)
    return flat.rollout([[episode.shaped for episode in group.episodes] for group in taken], solved)


def _taken(groups: Sequence[Group], plan: Plan) -> list[Group]:
    """The groups to train on; none while that is open."""
    standing = kept(groups)
    if not plan.in_order:
        over = [group for group in standing if group.finished is not None]
        standing = sorted(over, key=lambda group: group.finished)
    first = standing[: plan.groups]
    whole = len(first) == plan.groups and all(group.finished is not None for group in first)
    return first if whole else []


def _nothing_finished(groups: Sequence[Group]) -> JobStop:
    last = max(
        (group for group in groups if group.finished is not None), key=lambda one: one.finished
    )
    return JobStop(
        f"no episode of the rollout's last groups finished; the last one ended with "
        f"{last.episodes[0].failure}"
    )
