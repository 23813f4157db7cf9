"""Baselines score what they always score; hostile agents score nothing, on any task."""

from __future__ import annotations

import pytest
from official import official_reward, scripted_episode, tools_called
from tau2.data_model.message import UserMessage

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.reward.scoring import score
from tau2_agent.teachers.baselines import AGENTS, BASELINES, HOSTILE, make_agent
from tau2_agent.users.scripted.lexicon import CHECKS


async def rewards(agent, split, limit=None):
    tasks = load_tasks(split)[:limit]
    runs = [(task, await scripted_episode(task, agent)) for task in tasks]
    return [(task, run, score(run, task).reward) for task, run in runs]


@pytest.mark.parametrize(
    ("agent", "train", "test"),
    [("do_nothing", 0, 0), ("transfer_at_once", 8, 12), ("blind_script", 73, 39)],
)
async def test_what_no_skill_is_worth(agent, train, test):
    assert sum(reward for *_, reward in await rewards(agent, "train")) == train
    assert sum(reward for *_, reward in await rewards(agent, "test")) == test


@pytest.mark.parametrize("agent", HOSTILE)
@pytest.mark.parametrize(("split", "limit"), [("train", None), ("test", None), ("extra_dev", 40)])
async def test_hostile_agents_get_nothing(agent, split, limit):
    for task, _, reward in await rewards(agent, split, limit):
        assert reward == 0.0, task.id


@pytest.mark.parametrize("agent", HOSTILE)
async def test_tau2s_own_evaluator_gives_them_nothing_either(agent):
    for task, run, _ in await rewards(agent, "test", limit=12):
        assert official_reward(run, task) == 0.0


@pytest.mark.parametrize("agent", HOSTILE)
async def test_hostile_agents_change_nothing_on_the_phone(agent):
    for _, run, _ in await rewards(agent, "test", limit=12):
        assert set(tools_called(run, "user")) <= set(CHECKS.values())


async def test_the_blind_script_is_only_wrong_where_a_look_was_needed():
    failed = [t.id for t, _, reward in await rewards("blind_script", "test") if reward < 1]
    assert failed and all("contract_end_suspension" in task_id for task_id in failed)


async def test_fixed_agents_do_not_listen():
    agent, other = make_agent("blind_script"), make_agent("blind_script")
    for text in ("Stop!", "No."):
        new = [UserMessage(role="user", content=text)]
        assert await agent.act(new) == await other.act([UserMessage(role="user", content="Yes.")])


def test_the_registry_is_whole():
    assert set(BASELINES) | set(HOSTILE) == set(AGENTS)
    for name in AGENTS:
        assert make_agent(name).tokens is None
    with pytest.raises(ValueError, match="choose one of: scripted"):
        make_agent("genius")
