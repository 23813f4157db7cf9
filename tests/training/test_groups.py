"""Which groups of a rollout are trained on, and what is counted of the others."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tau2_agent.records.episode_row import SOLVED as ENOUGH
from tau2_agent.rollout.trajectory import JobStop
from tau2_agent.training import objective
from tau2_agent.training.groups import Episode, Group, Plan, draws, fill, kept, notice, summary
from tau2_agent.training.task_choice import Played

SOLVED, FAILED, SPREAD = (1.0, 1.0), (0.0, 0.0), (0.0, 1.0)
LOST = (None, None)


def episode(reward: float | None, tokens: int = 100, partial: float = 0.0) -> Episode:
    shaped = None if reward is None else reward + 0.5 * partial
    failure = "policy_error: no route" if reward is None else ""
    return Episode({}, reward, shaped, tokens, tokens // 10, failure)


def play(plan: Plan, *script, seconds=None, cut_short=None):
    """Fill a rollout whose n-th group gets the n-th rewards of `script`, the last for the rest.

    Returns the groups and, for each, the group in whose place it was drawn.
    """
    instead: list[int | None] = []

    def draw(groups, replaced):
        instead.append(None if replaced is None else replaced.number)
        return f"task {len(groups)}"

    async def group(of: Group):
        await asyncio.sleep(0.002 * (seconds[of.number] if seconds else 0))
        rewards = script[min(of.number, len(script) - 1)]
        length = 100 * (1 + (seconds[of.number] if seconds else 0))
        return [episode(reward, length) for reward in rewards]

    groups = asyncio.run(fill(plan, draw, group, cut_short))
    return groups, instead


def numbers(groups) -> list[int]:
    return [group.number for group in kept(groups)]


def test_a_group_without_a_spread_is_replaced_by_the_next() -> None:
    groups, instead = play(Plan(2, resampled=4), SPREAD, SOLVED, FAILED, SPREAD)
    assert numbers(groups) == [0, 3]
    assert instead == [None, None, 1, 2]
    assert [group.dropped for group in groups] == ["", "all_solved", "all_failed", ""]


def test_after_the_cap_groups_are_taken_as_they_are() -> None:
    groups, _ = play(Plan(2, resampled=3), SOLVED)
    assert len(groups) == 5 and numbers(groups) == [3, 4]
    assert summary(groups)["groups_without_spread"] == 2


def test_without_resampling_all_are_taken() -> None:
    groups, _ = play(Plan(3), SOLVED, SPREAD, FAILED)
    assert numbers(groups) == [0, 1, 2]
    assert summary(groups)["dropped"] == {}


@pytest.mark.parametrize(
    ("rewards", "why"),
    [
        ([(1.0, 0.0), (1.0, 0.0)], "all_solved"),
        ([(0.0, 0.2), (0.0, 0.2)], "all_failed"),
        ([(0.0, 0.2), (0.0, 0.4)], ""),  # the partial score tells them apart
        ([(1.0, 0.0), (0.0, 2.0)], "equal"),
        ([(ENOUGH, 0.0)] * 2, "all_solved"),  # as near as tau2 asks
        ([(1 - 2e-6, 0.0)] * 2, "equal"),
        ([(1.0, 0.0), (None, 0.0), (1.0, 0.0)], "all_solved"),  # a lost episode is no reward of 0
        ([(1.0, 0.0), (None, 0.0)], "not_finished"),
        ([(None, 0.0), (None, 0.0)], "not_finished"),
    ],
)
def test_why_a_group_teaches_nothing(rewards, why) -> None:
    episodes = [episode(reward, partial=partial) for reward, partial in rewards]
    assert Group(0, "t", episodes).without_spread() == why


@pytest.mark.parametrize(("reward", "said"), [(ENOUGH, "nothing to learn"), (0.0, "trains noth")])
def test_a_rollout_that_solves_all_is_not_one_that_trains_nothing(reward, said) -> None:
    groups = [Group(0, "t", [episode(reward), episode(reward), episode(None)])]
    assert notice(objective.FlatRollouts(), groups).startswith(said)


def test_groups_that_end_together_come_after_those_that_ended_before() -> None:
    """Which are kept must not hang on their numbers, where the first to finish are taken."""

    async def group(of: Group):
        for _ in range([9, 9, 9, 5, 1][of.number]):  # passes of the event loop
            await asyncio.sleep(0)
        return [episode(reward) for reward in SPREAD]

    plan = Plan(3, resampled=2, ahead=2, in_order=False)
    groups = asyncio.run(fill(plan, lambda groups, replaced: "t", group))
    assert numbers(groups) == [0, 3, 4]
    assert [group.finished for group in groups] == [2, 3, 4, 1, 0]


def test_in_the_order_drawn_a_long_group_keeps_its_place() -> None:
    seconds = [9, 0, 1, 0, 0]
    ordered, _ = play(Plan(2, resampled=3, ahead=3), SPREAD, seconds=seconds)
    assert numbers(ordered) == [0, 1]
    finished, _ = play(Plan(2, resampled=3, ahead=3, in_order=False), SPREAD, seconds=seconds)
    assert 0 not in numbers(finished)  # the long one loses


def test_the_length_bias_is_measured() -> None:
    seconds = [9, 0, 1, 0, 0]

    async def wait(running):
        await asyncio.wait(running)

    plan = Plan(2, resampled=3, ahead=3, in_order=False)
    told = summary(play(plan, SPREAD, seconds=seconds, cut_short=wait)[0])
    assert told["dropped"] == {"surplus": 3} and told["played_groups"] == 5
    assert told["tokens"] == 100 and told["tokens_played"] == 300
    assert told["agent_turns"] == 10 and told["agent_turns_played"] == 30


def test_a_group_that_was_begun_ahead_takes_the_dropped_ones_place() -> None:
    groups, instead = play(Plan(2, resampled=2, ahead=1), SOLVED, SPREAD, SPREAD)
    assert numbers(groups) == [1, 2] and instead == [None] * 3
    groups, instead = play(Plan(2, resampled=2, ahead=1), SOLVED, SOLVED, SPREAD)
    assert numbers(groups) == [2, 3] and instead[3] is not None
    groups, instead = play(Plan(2, resampled=1, ahead=1), SOLVED, SPREAD, SPREAD)
    assert numbers(groups) == [1, 2]  # none more may be drawn, and none is needed


def test_what_is_not_needed_is_cut_short_and_counted() -> None:
    cut = []

    async def stop(running):
        cut.extend(running)
        for task in running:
            assert not task.done()
        await asyncio.wait(running)

    seconds = [0, 0, 30]
    groups, _ = play(Plan(2, resampled=1, ahead=1), SPREAD, seconds=seconds, cut_short=stop)
    assert len(cut) == 1 and groups[2].dropped == "surplus"


@pytest.mark.parametrize("plan", [Plan(3), Plan(3, resampled=20)])
def test_a_dead_server_ends_the_rollout_with_its_reason(plan) -> None:
    with pytest.raises(JobStop, match="policy_error: no route"):
        play(plan, LOST)


def test_a_server_that_dies_is_not_asked_for_every_group_that_might_be_played() -> None:
    drawn = []

    async def group(of: Group):
        return [episode(reward) for reward in (SPREAD if of.number == 0 else LOST)]

    def draw(groups, replaced):
        drawn.append(len(groups))
        return "t"

    with pytest.raises(JobStop):
        asyncio.run(fill(Plan(3, resampled=50), draw, group))
    assert len(drawn) < 3 + 2 * 3


def test_a_server_that_comes_back_is_no_reason_to_stop() -> None:
    script = [LOST] * 5 + [SPREAD] + [LOST] * 5 + [SPREAD] * 9
    groups, _ = play(Plan(3, resampled=20), *script)
    assert len(kept(groups)) == 3
    assert Counter(group.dropped for group in groups) == {"not_finished": 10, "": 3}


def test_an_error_ends_the_others_too() -> None:
    ended = []

    async def group(of: Group):
        if of.number == 1:
            raise JobStop("no key")
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(of.number)

    async def run():
        async with asyncio.timeout(5):
            with pytest.raises(JobStop, match="no key"):
                await fill(Plan(3), lambda groups, replaced: "t", group)
        assert ended == [0, 2]

    asyncio.run(run())


def test_a_draw_knows_what_this_rollout_has_shown() -> None:
    asked = []

    class Choice:
        def first(self, rollout, before):
            return ["a", "b"]

        def another(self, *told):
            asked.append(told)
            return "c"

    before = [Played(3, "z", 1.0)]
    draw = draws(Choice(), 4, before)
    solved = Group(0, "a", [episode(1.0), episode(None), episode(1.0)], dropped="all_solved")
    assert [draw([], None), draw([solved], None)] == ["a", "b"] and not asked
    now = [*before, Played(4, "a", 1.0), Played(4, "a", 1.0)]
    draw([solved, Group(1, "b")], solved)
    assert asked.pop() == (4, 2, now, ["a", "b"], "a", "all_solved")
    draw([solved, Group(1, "b")], None)
    assert asked.pop() == (4, 2, now, ["a", "b"])
