"""Reward shaping: the partial score, R = reward + alpha * partial, and the group baseline."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from replays import gold_calls, play
from tau2.data_model.simulation import RewardInfo

import tau2_reward_shaping as shaping
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.config.settings import Settings
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.trajectory import EndReason
from tau2_reward_shaping import (
    PartialWeights,
    compute_partial_score,
    repeat_penalty,
    shaped_reward,
    tau2_reward_post_process,
)


class Status(Enum):
    """slime's `Sample.Status`."""

    COMPLETED = "completed"
    TRUNCATED = "truncated"
    ABORTED = "aborted"


@dataclass
class Sample:
    """The fields of slime's `Sample` that rewards depend on, with its defaults."""

    group_index: int | None = None
    reward: Any = None
    status: Status = Status.COMPLETED
    remove_sample: bool = False
    metadata: dict = field(default_factory=dict)


def info(actions=(), assertions=(), communicate=(), reward=0.0):
    """A reward_info with the given results; an action is (action_match, verified)."""
    return {
        "reward": reward,
        "action_checks": [{"action_match": m, "verified": v} for m, v in actions] or None,
        "env_assertions": [{"met": met} for met in assertions] or None,
        "communicate_checks": [{"met": met} for met in communicate] or None,
    }


DONE, FAILED, GAMED = (True, True), (False, False), (True, False)


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        (info([DONE, FAILED], [True, False], [False, True]), 0.5),
        (info([DONE], [False], [False]), 0.7),
        (info([FAILED], [True], [False]), 0.2),
        (info([FAILED], [False], [True]), 0.1),
        (info([DONE, FAILED], [True]), (0.7 * 0.5 + 0.2) / 0.9),  # telecom: no communicate checks
        (info([DONE]), 1.0),
        (info(assertions=[True, False, False]), 1 / 3),
        (info(communicate=[True]), 1.0),
        (info([GAMED, DONE]), 0.5),  # what was not carried out does not count
        (info(), 0.0),
        ({}, 0.0),
        (None, 0.0),
    ],
)
def test_partial_score(checks, expected):
    assert compute_partial_score(checks) == pytest.approx(expected)


def test_assertion_that_held_from_the_start_is_no_work():
    checks = {
        "env_assertions": [
            {"met": True, "held_at_start": True},
            {"met": True, "held_at_start": False},
            {"met": False, "held_at_start": False},
        ]
    }
    assert compute_partial_score(checks) == 0.5
    checks["env_assertions"][0]["met"] = False  # broken by the agent: that counts
    assert compute_partial_score(checks) == pytest.approx(1 / 3)
    assert compute_partial_score({"env_assertions": [{"met": True, "held_at_start": True}]}) == 0.0


def test_raw_tau2_reward_info_falls_back_to_action_match():
    task = next(t for t in load_tasks("test") if len(t.evaluation_criteria.actions) == 4)
    result = score(play(task, gold_calls(task)[:2]), task)
    raw = RewardInfo.model_validate(result.reward_info)
    assert not hasattr(raw.action_checks[0], "verified")
    stripped = [dict(check) for check in result.reward_info["action_checks"]]
    for check in stripped:
        del check["verified"]
    unflagged = {**result.reward_info, "action_checks": stripped, "env_assertions": None}
    assert compute_partial_score(unflagged) == 0.5
    assert compute_partial_score(raw, "1,0,0") == 0.5
    assert compute_partial_score(RewardInfo(reward=0.0)) == 0.0


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, (0.7 * 0.5 + 0.2) / 0.9),
        ({}, (0.7 * 0.5 + 0.2) / 0.9),
        ((1, 1, 1), 0.75),
        ([0.5, 0.3, 0.2], (0.25 + 0.2) / 0.7),
        ("1, 0, 3", 0.875),
        ({"assertion": 0.7}, 0.75),
        (PartialWeights(1, 0, 0), 0.5),
        ("0,1,0", 0.0),  # weight only on a kind that does not exist
    ],
)
def test_weights(weights, expected):
    assert compute_partial_score(info([DONE, FAILED], [True]), weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    "weights", ["1,2", "a,b,c", (1, 2, 3, 4), {"actions": 1}, (-1, 1, 1), (0, 0, 0), "nan,1,1", 3]
)
def test_wrong_weights_are_refused(weights):
    with pytest.raises(ValueError, match="partial weights"):
        compute_partial_score(info([DONE]), weights)
    with pytest.raises(ValueError, match="partial weights"):
        tau2_reward_post_process(SimpleNamespace(tau2_partial_weights=weights), [])


@given(
    st.lists(st.sampled_from([DONE, FAILED, GAMED]), max_size=4),
    st.lists(st.booleans(), max_size=4),
    st.lists(st.booleans(), max_size=4),
    st.tuples(*[st.floats(0, 1e6)] * 3).filter(lambda w: sum(w) > 0),
)
def test_partial_score_stays_in_range_and_grows_with_the_checks(actions, met, said, weights):
    value = compute_partial_score(info(actions, met, said), weights)
    assert 0.0 <= value <= 1.0
    for place, action in enumerate(actions):
        if action is not DONE:
            better = [*actions[:place], DONE, *actions[place + 1 :]]
            assert compute_partial_score(info(better, met, said), weights) >= value - 1e-12


def test_all_passed_is_one_however_it_is_rounded():
    """0.2 * 3 / 3 is a little more than 0.2."""
    for done, met in itertools.product(range(8), range(1, 8)):
        whole = info([DONE] * done, [True] * met)
        for weights in ((0.1, 0.0, 0.2), (0.3, 0.1, 0.6), (0.7, 0.1, 0.2)):
            assert 1 - 1e-12 < compute_partial_score(whole, weights) <= 1.0


def test_shaped_reward():
    assert shaped_reward(1.0, 1.0) == 1.5
    assert shaped_reward(0.0, 0.5, alpha=0.2) == 0.1


def test_a_penalty_never_puts_a_failure_above_a_success():
    most = Settings.model_fields["grpo"].annotation.model_fields["repeat_penalty"].metadata
    each = next(bound.le for bound in most if hasattr(bound, "le"))
    for partial in (0.0, 0.4, 1.0):  # tau2 pays for the end, whichever of the checks it passed
        solved = shaped_reward(1.0, partial, penalty=repeat_penalty(10_000, each))
        assert solved >= shaped_reward(0.0, 1.0)
    costs = [repeat_penalty(turns, 0.02) for turns in (0, 3, 10, 11, 10_000)]
    assert costs == pytest.approx([0.0, 0.06, 0.2, 0.2, 0.2])


def rewards_of(*groups: list[float]) -> list[Sample]:
    return [
        Sample(g, {"reward": r, "partial": 0.0}) for g, group in enumerate(groups) for r in group
    ]


def slime_rewards(raw: list[float], per_prompt: int, std: bool) -> list[float]:
    """`RolloutManager._post_process_rewards` of slime 624b824a8, for groups of one size."""
    rewards = torch.tensor(raw, dtype=torch.float).reshape(-1, per_prompt)
    rewards = rewards - rewards.mean(dim=-1, keepdim=True)
    if std:
        rewards = rewards / (rewards.std(dim=-1, keepdim=True) + 1e-6)
    return rewards.flatten().tolist()


@pytest.mark.parametrize("std", [True, False])
def test_equal_groups_are_normalised_as_slime_does(std):
    args = SimpleNamespace(grpo_std_normalization=std)
    samples = rewards_of([1.0, 0.0, 0.5, 0.25], [0.0, 0.0, 0.0, 1.5], [1.0, 1.0, 1.0, 1.0])
    raw, rewards = tau2_reward_post_process(args, samples)
    assert raw == [sample.reward["reward"] for sample in samples]
    assert rewards == pytest.approx(slime_rewards(raw, 4, std), abs=1e-5)
    assert rewards[-4:] == [0.0] * 4


def test_rewards_of_a_millionth_apart_are_damped():
    _, rewards = tau2_reward_post_process(SimpleNamespace(), rewards_of([0.0, 2e-6]))
    assert rewards == pytest.approx([-1 / (math.sqrt(2) + 1), 1 / (math.sqrt(2) + 1)])


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.floats(0, 1.5), st.booleans()), min_size=1, max_size=30
    ),
    st.booleans(),
)
def test_ragged_and_shuffled_groups(entries, std):
    samples = [
        Sample(group, {"reward": r, "partial": 0.0}, Status.ABORTED if lost else Status.COMPLETED)
        for group, r, lost in entries
    ]
    raw, rewards = tau2_reward_post_process(SimpleNamespace(grpo_std_normalization=std), samples)
    assert len(raw) == len(rewards) == len(samples)
    for group in range(5):
        places = [i for i, (g, _, lost) in enumerate(entries) if g == group and not lost]
        values = [rewards[i] for i in places]
        assert sum(values) == pytest.approx(0.0, abs=1e-6)
        alone = tau2_reward_post_process(
            SimpleNamespace(grpo_std_normalization=std), [samples[i] for i in places]
        )[1]
        assert values == alone  # other groups and aborted samples change nothing
    for (_, r, lost), kept, reward in zip(entries, raw, rewards, strict=True):
        assert kept == (0.0 if lost else r)
        assert reward == 0.0 if lost else math.isfinite(reward)


def test_sample_alone_in_its_group_gets_zero():
    samples = [*rewards_of([1.0]), Sample(7, 0.5), Sample(None, 1.0), Sample(None, 0.0)]
    assert tau2_reward_post_process(SimpleNamespace(), samples) == ([1.0, 0.5, 1.0, 0.0], [0.0] * 4)


@pytest.mark.parametrize(
    "lost",
    [
        Sample(0, {"reward": 1.0, "partial": 1.0}, Status.ABORTED),
        Sample(0, {"reward": 1.0, "partial": 1.0}, "aborted"),
        Sample(0, {"reward": 1.0, "partial": 1.0}, remove_sample=True),
        Sample(0, None),
        Sample(0, {}),
        Sample(0, "text"),
        Sample(0, float("nan")),
        Sample(0, {"reward": None}),
        Sample(0, None, metadata={"reward_info": {"reward": None}}),
        SimpleNamespace(),
        None,
    ],
)
def test_sample_without_a_reward_gets_zero_and_moves_nobody(lost, caplog):
    samples = rewards_of([1.0, 0.0])
    expected = tau2_reward_post_process(SimpleNamespace(), samples)[1]
    assert not caplog.messages
    raw, rewards = tau2_reward_post_process(SimpleNamespace(), [samples[0], lost, samples[1]])
    assert raw == [1.0, 0.0, 0.0]
    assert rewards == [expected[0], 0.0, expected[1]]
    assert caplog.messages == ["1 of 3 samples have no reward and get 0"]


def test_a_group_that_hardly_differs_is_not_blown_up():
    """The constant beside the standard deviation is slime's 1e-6, and added."""
    (_, rewards) = tau2_reward_post_process(SimpleNamespace(), rewards_of([2e-6, 0.0]))
    expected = 1e-6 / (math.sqrt(2) * 1e-6 + 1e-6)
    assert rewards == pytest.approx([expected, -expected])


def test_a_sample_needs_no_more_than_its_reward():
    plain = [SimpleNamespace(group_index=0, reward=r) for r in (1.0, 0.0)]
    assert tau2_reward_post_process(SimpleNamespace(), plain)[1][0] > 0
    alone = [SimpleNamespace(reward=1.0), SimpleNamespace(reward=0.0)]  # of no group
    assert tau2_reward_post_process(SimpleNamespace(), alone) == ([1.0, 0.0], [0.0, 0.0])


def test_empty_batch():
    assert tau2_reward_post_process(SimpleNamespace(), []) == ([], [])


def test_truncated_samples_count():
    samples = rewards_of([1.0, 0.0])
    samples[1].status = Status.TRUNCATED
    assert tau2_reward_post_process(SimpleNamespace(), samples)[1][1] < 0


def test_where_the_reward_comes_from():
    whole = info([DONE, FAILED], [True], reward=1.0)
    partial = compute_partial_score(whole)
    samples = [
        Sample(0, {"reward": 0.0, "partial": 0.0, "shaped": 0.0}, metadata={"reward_info": whole}),
        Sample(0, {"reward": 1.0, "partial": 0.5, "shaped": 9.0}),
        Sample(0, {"reward": 1.0}),
        Sample(0, {"shaped": 0.75}),
        Sample(0, 0.25),
        Sample(0, 1, metadata=None),
        Sample(0, {"reward": 1.0, "partial": 0.5, "penalty": 0.1, "shaped": 9.0}),
        Sample(0, {"penalty": 0.1}, metadata={"reward_info": whole}),
        Sample(0, 0.25, metadata={"reward_info": whole}),
    ]
    raw, _ = tau2_reward_post_process(SimpleNamespace(), samples)
    wanted = [1 + partial / 2, 1.25, 1.0, 0.75, 0.25, 1.0, 1.15, 0.9 + partial / 2, 1 + partial / 2]
    assert raw == pytest.approx(wanted)
    args = SimpleNamespace(tau2_alpha=0.0, tau2_partial_weights="1,0,0")
    assert tau2_reward_post_process(args, samples)[0][:2] == [1.0, 1.0]
    args = SimpleNamespace(tau2_alpha=1.0, tau2_partial_weights=[1, 0, 0])
    assert tau2_reward_post_process(args, samples)[0][:2] == [1.5, 1.5]


@pytest.mark.parametrize(
    ("estimator", "first"),
    [
        *[(name, math.sqrt(0.5)) for name in ("grpo", "gspo", "cispo")],  # centred and scaled
        ("reinforce_plus_plus_baseline", 0.5),  # centred
        *[(name, 1.0) for name in ("reinforce_plus_plus", "ppo")],
    ],
)
def test_what_slimes_estimators_ask_for(estimator, first):
    args = SimpleNamespace(advantage_estimator=estimator)
    _, rewards = tau2_reward_post_process(args, rewards_of([1.0, 0.0]))
    assert rewards[0] == pytest.approx(first, abs=1e-5)


def test_options_that_switch_the_baseline_off_are_followed():
    samples = rewards_of([1.0, 0.0])
    for args in (
        SimpleNamespace(rewards_normalization=False),
        SimpleNamespace(advantage_estimator="ppo"),
    ):
        assert tau2_reward_post_process(args, samples) == ([1.0, 0.0], [1.0, 0.0])
    args = SimpleNamespace(advantage_estimator="reinforce_plus_plus_baseline")
    assert tau2_reward_post_process(args, samples)[1] == [0.5, -0.5]
    args = SimpleNamespace(grpo_std_normalization=None, tau2_alpha=None)  # options not given
    assert tau2_reward_post_process(args, samples)[1] == pytest.approx([0.7071, -0.7071], abs=1e-4)


def test_training_and_evaluation_score_alike():
    """slime's hook gives the R that the evaluation's score makes."""
    tasks = load_tasks("test")[:4]
    scores = [score(play(task, gold_calls(task)[:-1], EndReason.MAX_STEPS), task) for task in tasks]
    samples = [
        Sample(
            0, {"reward": s.reward, "partial": s.partial}, metadata={"reward_info": s.reward_info}
        )
        for s in scores
    ]
    raw, _ = tau2_reward_post_process(SimpleNamespace(), samples)
    assert raw == [shaped_reward(s.reward, s.partial) for s in scores]
    assert all(0 < value < 0.5 for value in raw)


def test_import_needs_the_standard_library_only():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import tau2_reward_shaping; "
        "sys.exit(bool({'torch', 'numpy', 'pydantic', 'tau2', 'tau2_agent'} & set(sys.modules)))"
    )
    folder = str(Path(shaping.__file__).parent)
    assert subprocess.run([sys.executable, "-I", "-c", code, folder]).returncode == 0
