"""Whole episodes: what tau2's own environment, orchestrator and evaluator make of them, one by one;
and that an episode is the same alone in a fresh process, after others and between others.
"""

from __future__ import annotations

import asyncio

import peers
import pytest
from episodes_as_text import alone, played, same_bill_ids, state, without_time
from tau2.data_model.simulation import RewardInfo

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import run_episode, together
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user

EXTRA = [*load_tasks("extra_unseen")[::20], *load_tasks("extra_dev")[::20]]
EXTRA += load_tasks("extra_train")[::80]
# Each changes other things: a line's roaming and volume, a bill, the phone's VPN, APN and apps.
TOLD_APART = [
    "[mms_issue]airplane_mode_on|bad_network_preference|bad_wifi_calling|break_apn_mms_setting|"
    "break_app_both_permissions|data_mode_off|data_usage_exceeded|unseat_sim_card|"
    "user_abroad_roaming_disabled_off[PERSONA:Hard]",
    "[mobile_data_issue]airplane_mode_on|bad_network_preference|bad_vpn|data_mode_off|"
    "data_saver_mode_on|data_usage_exceeded|user_abroad_roaming_disabled_off[PERSONA:Hard]",
    "[service_issue]airplane_mode_on|break_apn_settings|overdue_bill_suspension|unseat_sim_card"
    "[PERSONA:None]",
]


@pytest.fixture(autouse=True)
def repeatable(monkeypatch):
    same_bill_ids(monkeypatch.setattr)


@pytest.mark.parametrize(
    ("agent", "tasks", "solved"),
    [("scripted", [*load_tasks("test"), *EXTRA], 89), ("blind_script", load_tasks("test")[::4], 9)],
)
def test_messages_state_reward_and_checks_are_tau2s(agent, tasks, solved):
    rewards = []
    for task in tasks:
        ours = asyncio.run(run_episode(task, make_agent(agent), make_user("scripted", task)))
        run, environment, theirs = peers.evaluated(task, make_agent(agent))
        assert without_time(ours.messages) == without_time(run.messages), task.id
        assert ours.end.value == run.termination_reason.value
        # by text: 1, 1.0 and True are equal
        assert repr(state(ours.environment)) == repr(state(environment)), task.id
        info = RewardInfo.model_validate(score(ours, task).reward_info)
        for name in set(RewardInfo.model_fields) - {"db_check", "info"}:
            assert getattr(info, name) == getattr(theirs, name), (task.id, name)
        rewards.append(info.reward)
    assert sum(rewards) == solved


def test_an_episode_is_the_same_alone_after_others_and_between_others():
    expected = {task_id: alone(task_id) for task_id in TOLD_APART}
    assert len(set(expected.values())) == len(TOLD_APART)
    for _ in range(2):  # one after the other, and each after itself
        assert {i: asyncio.run(played(i)) for i in TOLD_APART} == expected
    between = asyncio.run(together(played(i) for i in TOLD_APART * 3))
    assert between == [expected[i] for i in TOLD_APART * 3]
