"""A rollout's places are shared over issues: evenly, rotating, none forgotten, within the issue."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tau2_agent.benchmark.selection import even_shares
from tau2_agent.benchmark.tasks import faults, split_ids
from tau2_agent.training.task_choice import Played, TaskChoice
from tau2_agent.training.task_order import in_passes

TRAIN, EXTRA = split_ids("train"), split_ids("extra_train")
MMS, DATA, SERVICE = "mms_issue", "mobile_data_issue", "service_issue"
both_curricula = pytest.mark.parametrize("curriculum", ["none", "success_rate"])


def choice(tasks=EXTRA, *, prompts=16, seed=0, curriculum="success_rate", issues="balanced"):
    told = {"prompts": prompts, "seed": seed, "curriculum": curriculum, "issues": issues}
    return TaskChoice(tasks, **told)


def issue_of(task: str) -> str:
    return faults(task)[0]


def of_issues(tasks) -> Counter[str]:
    return Counter(map(issue_of, tasks))


def of_issue(issue, tasks=EXTRA) -> list[str]:
    return [task for task in tasks if issue_of(task) == issue]


def test_shares_are_as_even_as_the_issues_sizes_allow() -> None:
    chance = random.Random(0)
    for _ in range(300):
        sizes = [chance.randint(1, 12) for _ in range(chance.randint(1, 5))]
        places = chance.randint(1, sum(sizes))
        period = [even_shares(sizes, places, rollout) for rollout in range(7, 67)]
        for shares in period:
            assert sum(shares) == places
            for share, size in zip(shares, sizes, strict=True):
                # who has less than another has all that there is of it
                assert share == size or (share < size and share >= max(shares) - 1)
        in_all = [sum(shares) for shares in zip(*period, strict=True)]
        open_issues = [n for n, size in zip(in_all, sizes, strict=True) if n < 60 * size]
        assert len(set(open_issues)) <= 1  # 60 rollouts: the remainder of 1 to 5 issues comes out


@both_curricula
@pytest.mark.parametrize(("prompts", "each"), [(16, {5, 6}), (8, {2, 3}), (3, {1})])
def test_every_rollout_plays_all_issues_alike(curriculum, prompts, each) -> None:
    chooses = choice(prompts=prompts, curriculum=curriculum)
    counts = [of_issues(chooses.first(rollout, [])) for rollout in range(6)]
    assert {count for one in counts for count in one.values()} == each
    assert sum(counts, Counter()) == dict.fromkeys((MMS, DATA, SERVICE), 2 * prompts)
    plain = choice(prompts=prompts, curriculum=curriculum, issues="proportional")
    drawn = sum((of_issues(plain.first(rollout, [])) for rollout in range(6)), Counter())
    assert drawn[MMS] > 0.7 * 6 * prompts


@both_curricula
def test_fewer_places_than_issues_go_round(curriculum) -> None:
    chooses = choice(prompts=1, curriculum=curriculum)
    drawn = [issue_of(*chooses.first(rollout, [])) for rollout in range(6)]
    assert set(drawn[:3]) == {MMS, DATA, SERVICE} and drawn[3:] == drawn[:3]


@both_curricula
def test_an_issue_of_few_tasks_is_played_whole_and_the_others_have_the_rest(curriculum) -> None:
    tasks = choice(prompts=40, curriculum=curriculum).first(5, [])
    counts = of_issues(tasks)
    assert counts[SERVICE] == 9 and {counts[MMS], counts[DATA]} == {15, 16}
    assert len(set(tasks)) == 40


@both_curricula
@pytest.mark.parametrize("issue", [MMS, SERVICE])
def test_a_split_of_one_issue_is_played_as_ever(curriculum, issue) -> None:
    only = of_issue(issue)
    balanced, plain = (
        choice(only, prompts=4, curriculum=curriculum, issues=issues)
        for issues in ("balanced", "proportional")
    )
    before: list[Played] = []
    for rollout in range(5):
        first = plain.first(rollout, before)
        assert balanced.first(rollout, before) == first
        another = (rollout, 4, before, first, first[0], "all_solved")
        assert balanced.another(*another) == plain.another(*another)
        before += [Played(rollout, task, float(n % 2)) for n, task in enumerate(first)]


def test_passes_have_each_task_once_and_a_rollout_none_twice() -> None:
    chance = random.Random(0)
    for size in (2, 5, 9):
        tasks = [f"task {number}" for number in range(size)]
        shares = [chance.randint(0, size) for _ in range(40)]
        counts: Counter[str] = Counter(dict.fromkeys(tasks, 0))
        for rollout in range(40):
            drawn = in_passes(tasks, shares[: rollout + 1], "a")
            assert len(drawn) == len(set(drawn)) == shares[rollout]
            counts.update(drawn)
            assert max(counts.values()) - min(counts.values()) <= 1
    orders = [tuple(in_passes(tasks, [9] * n, seed)) for n in (1, 2) for seed in "ab"]
    assert len(set(orders)) == 4  # of another pass, and of another seed


def test_passes_are_the_same_in_every_version() -> None:
    """A training that resumes goes on with the tasks that it would have had."""
    drawn = ["".join(in_passes("abcde", [2] * rollouts, "7/x")) for rollouts in range(9)]
    assert drawn == ["", "cb", "ea", "db", "ea", "dc", "ae", "cd", "bd"]
    assert in_passes("abcde", [], "7/x") == []


@both_curricula
def test_each_issue_is_drawn_for_itself(curriculum) -> None:
    mms, data = of_issue(MMS)[:40], of_issue(DATA)[:40]
    drawn = choice([*mms, *data], prompts=20, curriculum=curriculum).first(1, [])
    places = [sorted(tasks.index(task) for task in drawn if task in tasks) for tasks in (mms, data)]
    assert [len(of) for of in places] == [10, 10] and places[0] != places[1]


def test_without_a_curriculum_every_seed_has_its_own_passes() -> None:
    drawn = [choice(curriculum="none", seed=seed).first(0, []) for seed in (0, 1)]
    assert set(drawn[0]) != set(drawn[1])


def test_within_an_issue_tasks_in_between_come_first() -> None:
    data = of_issue(DATA)
    fault = "bad_vpn"  # with it half of the episodes are solved, without it all
    before = [
        Played(0, task, float(number < 2 or fault not in faults(task)[1]))
        for task in data
        for number in range(4)
    ]
    drawn = [task for n in range(1, 31) for task in choice().first(n, before) if task in set(data)]
    share, of_all = (sum(fault in faults(task)[1] for task in of) / len(of) for of in (drawn, data))
    assert of_all < 0.6 and share > 0.75  # an eighth is explored


def test_no_task_of_any_issue_is_forgotten() -> None:
    """One place of eight of each issue is for the task of it that has waited longest."""
    for issue in (MMS, DATA, SERVICE):
        waiting, *others = of_issue(issue)
        before = [Played(0, waiting, 1.0)] * 50
        before += [
            Played(1, task, reward) for task in EXTRA if task != waiting for reward in (0, 1)
        ]
        chooses = choice(prompts=8)  # two or three places of the issue in each
        drawn = [waiting in chooses.first(rollout, before) for rollout in range(2, 26)]
        assert sum(drawn) == 8, issue  # 64 places in 24 rollouts
        assert len(others) > 7


@both_curricula
@pytest.mark.parametrize("issue", [MMS, DATA, SERVICE])
def test_a_dropped_group_is_replaced_by_a_task_of_its_issue(curriculum, issue) -> None:
    chooses = choice(curriculum=curriculum)
    first = chooses.first(3, [])
    dropped = next(task for task in first if issue_of(task) == issue)
    for why in ("all_solved", "all_failed", "equal", "not_finished"):
        had, number = list(first), len(first)
        for _ in range(3):
            task = chooses.another(3, number, [], had, dropped, why)
            assert issue_of(task) == issue and task not in had
            had, number = [*had, task], number + 1


def test_what_replaces_it_is_still_harder_or_easier() -> None:
    data, chooses = of_issue(DATA), choice()
    before = [Played(0, task, (n % 5) / 4) for n, task in enumerate(data) for _ in range(4)]
    rates = dict(zip(EXTRA, chooses.success_rates(1, before), strict=True))
    middle = sorted(data, key=rates.__getitem__)[len(data) // 2]
    for number in range(16, 40):
        harder = chooses.another(1, number, before, [middle], middle, "all_solved")
        easier = chooses.another(1, number, before, [middle], middle, "all_failed")
        assert rates[harder] < rates[middle] < rates[easier]
        assert issue_of(harder) == issue_of(easier) == DATA


def test_where_an_issue_has_no_task_left_the_one_played_least_helps_out() -> None:
    service, mms, data = (of_issue(issue) for issue in (SERVICE, MMS, DATA))
    chooses = choice()
    had = [*service, *mms[:4], *data[:3]]
    assert issue_of(chooses.another(0, 16, [], had, service[0], "all_failed")) == DATA
    had = [*service, *mms[:4], *data[:5]]
    assert issue_of(chooses.another(0, 16, [], had, service[0], "all_failed")) == MMS
    had = [*service, *mms[:12], *data[:11]]  # the least of those that have tasks left
    assert issue_of(chooses.another(0, 32, [], had, service[0], "all_failed")) == DATA
    # without a dropped group, as with over-sampling: the issue that is behind
    assert issue_of(chooses.another(0, 16, [], [*service[:2], *mms[:4], *data[:3]])) == SERVICE


def test_when_everything_was_had_any_task_is_taken_again() -> None:
    few = [of_issue(issue)[0] for issue in (MMS, DATA, SERVICE)]
    assert choice(few, prompts=3).another(0, 3, [], few, few[0], "all_failed") in few
