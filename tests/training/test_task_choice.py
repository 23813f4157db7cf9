"""Which tasks a rollout plays: in between first, none forgotten, the same after a restart."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch

from tau2_agent.benchmark.tasks import faults, split_ids
from tau2_agent.errors import InputError
from tau2_agent.training.groups import Episode, Plan, draws, fill, kept
from tau2_agent.training.task_choice import Played, TaskChoice, played
from tau2_agent.training.task_order import task_order

TRAIN, EXTRA = split_ids("train"), split_ids("extra_train")


def choice(
    tasks=TRAIN, *, prompts=8, seed=0, curriculum="success_rate", issues="proportional"
) -> TaskChoice:
    told = {"prompts": prompts, "seed": seed, "curriculum": curriculum, "issues": issues}
    return TaskChoice(tasks, **told)


def simulate(tasks, success, rollouts, **more) -> list[list[str]]:
    """The tasks of each rollout, where the episodes of a task are solved as `success` says."""
    chooses, before, drawn = choice(tasks, **more), [], []
    for rollout in range(rollouts):
        tasks_now = chooses.first(rollout, before)
        drawn.append(tasks_now)
        for task in tasks_now:
            solved = round(4 * success(task))
            before += [Played(rollout, task, float(number < solved)) for number in range(4)]
    return drawn


def test_without_a_curriculum_it_is_the_order_of_all_tasks() -> None:
    order = task_order(TRAIN, rollouts=20, prompts=8, seed=3)
    plain = choice(seed=3, curriculum="none")
    before = [Played(0, TRAIN[0], 1.0)]
    assert [t for rollout in range(20) for t in plain.first(rollout, before)] == order


def test_tasks_in_between_come_first() -> None:
    def success(task: str) -> float:
        return [0.0, 0.5, 1.0][TRAIN.index(task) % 3]

    late = [task for tasks in simulate(TRAIN, success, 60)[30:] for task in tasks]
    share = Counter(success(task) for task in late)
    assert share[0.5] > 0.5 * len(late)  # a third, were they drawn evenly
    assert min(share[0.0], share[1.0]) > 0


def test_a_tasks_chance_is_the_fourth_power_of_its_variance() -> None:
    tasks, rates, draw = choice(TRAIN[:2], prompts=1), np.array([0.5, 0.2]), random.Random(0)
    first = [tasks._in_between([0, 1], rates, draw)[0] for _ in range(4000)].count(TRAIN[0])
    assert first / 4000 == pytest.approx(1 / (1 + (0.2 * 0.8 / 0.25) ** 4), abs=0.02)


def test_no_task_is_forgotten() -> None:
    """One place of eight goes to the task that has waited longest, however sure its outcome."""
    for waiting in TRAIN[:12]:
        before = [Played(0, waiting, 1.0)] * 50
        before += [
            Played(1, task, reward) for task in TRAIN if task != waiting for reward in (0, 1)
        ]
        assert all(waiting in choice(prompts=8).first(rollout, before) for rollout in (2, 5, 8))
        twice = [choice(prompts=4).first(rollout, before) for rollout in (2, 3)]
        assert waiting in twice[0] + twice[1]


@pytest.mark.parametrize("issues", ["proportional", "balanced"])
def test_it_rests_on_nothing_but_seed_number_and_rows(issues) -> None:
    made = partial(choice, EXTRA, issues=issues)
    before = [Played(r, EXTRA[r * 8 + i], float(i % 2)) for r in range(9) for i in range(8)]
    again = made().first(9, before)
    used = made()
    for rollout in range(9):
        used.first(rollout, before[: 8 * rollout])
    assert used.first(9, before) == again
    assert made(seed=1).first(9, before) != again
    assert made().first(0, []) != made().first(1, [])
    other = [one._replace(reward=float("bad_vpn" in one.task_id)) for one in before]
    assert made().first(9, other) != again


@pytest.mark.parametrize("curriculum", ["none", "success_rate"])
def test_fewer_tasks_than_a_rollout_needs_are_refused(curriculum) -> None:
    with pytest.raises(InputError, match=r"prompts_per_rollout 4 .* 3 tasks .* lower it"):
        choice(TRAIN[:3], prompts=4, curriculum=curriculum)


@pytest.mark.parametrize("curriculum", ["none", "success_rate"])
@pytest.mark.parametrize("issues", ["proportional", "balanced"])
def test_a_rollout_has_a_task_once(curriculum, issues) -> None:
    tasks = choice(prompts=70, curriculum=curriculum, issues=issues).first(4, [])
    assert len(set(tasks)) == 70


def test_a_fault_combination_not_played_yet_is_judged_by_its_faults() -> None:
    """Tasks with a fault that always defeats the policy count as harder, before they are played."""
    fault = Counter(f for task in EXTRA for f in faults(task)[1]).most_common(1)[0][0]
    shown = EXTRA[:400]
    before = [Played(0, task, float(fault not in faults(task)[1])) for task in shown for _ in "ab"]
    rates = dict(zip(EXTRA, choice(EXTRA).success_rates(1, before), strict=True))
    unseen = EXTRA[400:]
    hard = [rates[task] for task in unseen if fault in faults(task)[1]]
    easy = [rates[task] for task in unseen if fault not in faults(task)[1]]
    assert sum(hard) / len(hard) < sum(easy) / len(easy) - 0.2


def test_a_persona_is_the_same_fault_combination() -> None:
    pair = [f"[mms_issue]airplane_mode_on|bad_vpn[PERSONA:{name}]" for name in ("Easy", "Hard")]
    tasks = [*pair, "[service_issue]lock_sim_card_pin|contract_end_suspension[PERSONA:None]"]
    rates = choice(tasks, prompts=1).success_rates(1, [Played(0, tasks[0], 1.0)] * 4)
    assert rates[0] == rates[1] > rates[2]


def test_rates_are_those_of_the_formula() -> None:
    """The regression by torch's optimiser, from the module's text."""
    chance = random.Random(1)
    before = [Played(n // 40, TRAIN[n % 50], float(chance.random() < 0.7)) for n in range(200)]
    rollout, ids = 6, TRAIN
    w = torch.tensor([0.5 ** ((rollout - one.rollout) / 10) for one in before], dtype=torch.double)
    r = torch.tensor([one.reward for one in before], dtype=torch.double)
    kinds = sorted({fault for task in ids for fault in (faults(task)[0], *faults(task)[1])})
    x = torch.tensor(
        [[kind in (faults(task)[0], *faults(task)[1]) for kind in kinds] for task in ids]
    ).double()
    places = torch.tensor([ids.index(one.task_id) for one in before])
    mean = (1 + (w * r).sum()) / (2 + w.sum())
    b0 = torch.logit(mean).clone().requires_grad_()
    b = torch.zeros(len(kinds), dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([b0, b], max_iter=500, tolerance_grad=1e-10)

    def loss():
        optimiser.zero_grad()
        logits = (b0 + x @ b)[places]
        likelihood = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, r, weight=w, reduction="sum"
        )
        value = likelihood + 6 / 2 * (b**2).sum() + 0.1 / 2 * (b0 - torch.logit(mean)) ** 2
        value.backward()
        return value

    optimiser.step(loss)
    q = torch.sigmoid(b0 + x @ b).detach()
    own, good = (torch.zeros(len(ids)).double().index_add(0, places, v) for v in (w, w * r))
    expected = (4 * q + good) / (4 + own)
    assert torch.allclose(
        torch.tensor(choice().success_rates(rollout, before)), expected, atol=1e-5
    )


def test_old_episodes_fade() -> None:
    chooses = choice()
    once = [Played(0, TRAIN[0], 0.0)] * 4
    rates = [chooses.success_rates(rollout, once)[0] for rollout in (1, 10, 40, 400)]
    assert rates == sorted(rates) and rates[0] < 0.3 and rates[-1] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("curriculum", ["none", "success_rate"])
@pytest.mark.parametrize("why", ["all_solved", "all_failed"])
def test_what_replaces_a_dropped_group_is_harder_or_easier(curriculum, why) -> None:
    chooses = choice(curriculum=curriculum)
    before = [Played(0, task, (n % 5) / 4) for n, task in enumerate(TRAIN) for _ in range(4)]
    rates = dict(zip(TRAIN, chooses.success_rates(1, before), strict=True))
    middle = sorted(TRAIN, key=rates.__getitem__)[len(TRAIN) // 2]
    for number in range(8, 40):
        task = chooses.another(1, number, before, [middle], middle, why)
        if why == "all_solved":
            assert rates[task] < rates[middle]
        else:
            assert rates[task] > rates[middle]


def test_where_nothing_is_harder_another_task_is_played_all_the_same() -> None:
    chooses = choice()
    before = [Played(0, task, 1.0) for task in TRAIN]
    hardest = TRAIN[chooses.success_rates(1, before).argmin()]
    task = chooses.another(1, 8, before, [hardest], hardest, "all_solved")
    assert task != hardest


def test_a_task_is_taken_again_only_when_none_is_left() -> None:
    chooses = choice(TRAIN[:3], prompts=3)
    assert chooses.another(0, 3, [], TRAIN[:2]) == TRAIN[2]
    assert chooses.another(0, 3, [], TRAIN[:3]) in TRAIN[:3]


def test_a_group_that_was_equal_is_replaced_by_an_easier_or_a_harder_task() -> None:
    """Where the partial score alone was the same, neither side is the right one."""
    before = [Played(0, task, (n % 5) / 4) for n, task in enumerate(TRAIN) for _ in range(4)]
    rates = dict(zip(TRAIN, choice().success_rates(1, before), strict=True))
    middle = sorted(TRAIN, key=rates.__getitem__)[len(TRAIN) // 2]
    drawn = [choice().another(1, n, before, [middle], middle, "equal") for n in range(8, 40)]
    assert {rates[task] < rates[middle] for task in drawn} == {True, False}


@pytest.mark.parametrize(("why", "other"), [("all_solved", 0.0), ("all_failed", 1.0)])
def test_the_same_faults_with_another_persona_replace_no_group(why, other) -> None:
    """They are as easy, or as hard, as those that taught nothing."""
    same = [f"[mms_issue]airplane_mode_on|bad_vpn[PERSONA:{name}]" for name in ("Easy", "Hard")]
    wanted = "[service_issue]lock_sim_card_pin|contract_end_suspension[PERSONA:None]"
    tasks = [*same, wanted]
    known = [Played(0, task, other if task == wanted else 0.5) for task in tasks for _ in range(8)]
    chooses = choice(tasks, prompts=1)
    drawn = [chooses.another(1, n, known, same[:1], same[0], why) for n in range(1, 30)]
    assert set(drawn) == {wanted}


@pytest.mark.parametrize("which", ["rollout", "number"])
def test_replacements_of_a_rollout_and_of_the_next_are_drawn_anew(which) -> None:
    chooses = choice(EXTRA)
    told = [(3, n) if which == "number" else (n, 8) for n in range(12)]
    assert len({chooses.another(*one, [], []) for one in told}) > 8


@pytest.mark.parametrize(("reward", "rate"), [(1.0, 0.99), (0.0, 0.01)])
def test_no_task_is_sure_before_it_was_played(reward, rate) -> None:
    """Or its turn would never come: its chance is that of a rollout that tells good from bad."""
    known = [Played(0, task, reward) for task in EXTRA[:400] for _ in range(8)]
    faults_of = {frozenset(faults(task)[1]) for task in EXTRA[:400]}
    rates = choice(EXTRA).success_rates(1, known)
    unseen = [r for task, r in zip(EXTRA, rates, strict=True) if faults(task)[1] not in faults_of]
    assert len(unseen) > 100 and set(unseen) == {rate}


def test_rows_of_both_backends_are_read() -> None:
    rows = [
        {"step": 0, "task_id": "a", "reward": 1.0},
        {"step": 0, "task_id": "b", "reward": None},  # could not be scored
        {"rollout": 0, "task_id": "c", "reward": 0.0, "status": "completed", "dropped": "surplus"},
        {"rollout": 0, "task_id": "d", "reward": 0.0, "status": "aborted"},
        {"rollout": 1, "task_id": "e", "reward": 1.0, "status": "completed"},
    ]
    assert played(rows, 1) == [Played(0, "a", 1.0), Played(0, "c", 0.0)]


def with_spread(curriculum: str, resampled: int) -> tuple[float, float]:
    """Of a simulated policy on extra_train: trained groups with a spread, groups played a rollout.

    Every fault has a difficulty of its own, and so has every task; four tasks of five are solved.
    """
    chance = random.Random(0)
    kinds = sorted({fault for task in EXTRA for fault in faults(task)[1]})
    hard = {fault: chance.gauss(0.3, 1) for fault in kinds}
    level = {task: sum(hard[f] for f in faults(task)[1]) + chance.gauss(0, 0.7) for task in EXTRA}
    skill = sorted(level.values())[len(EXTRA) * 4 // 5] + 1
    chooses, before, spread, number = choice(EXTRA, curriculum=curriculum), [], 0, 0

    async def play(group):
        p = 1 / (1 + math.exp(level[group.task_id] - skill))
        rewards = [float(chance.random() < p) for _ in range(4)]
        return [Episode(None, reward, reward, 1, 1) for reward in rewards]

    for rollout in range(40):
        draw = draws(chooses, rollout, list(before))
        groups = asyncio.run(fill(Plan(8, resampled=resampled), draw, play))
        before += [Played(rollout, g.task_id, e.reward) for g in groups for e in g.episodes]
        spread += sum(not group.without_spread() for group in kept(groups))
        number += len(groups)
    return spread / (40 * 8), number / 40


def test_more_groups_teach_with_a_curriculum_and_with_resampling() -> None:
    plain, _ = with_spread("none", 0)
    ordered, _ = with_spread("success_rate", 0)
    resampled, played_plain = with_spread("none", 8)
    both, played_ordered = with_spread("success_rate", 8)
    assert ordered > 1.5 * plain
    assert resampled > 1.5 * plain
    assert both > max(ordered, resampled) and played_ordered < played_plain
