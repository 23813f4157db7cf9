"""How the tasks of an evaluation are played: streams of their own, again after a failure, once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.evaluation.model_players import play_all
from tau2_agent.evaluation.playing import ATTEMPTS, PLAYING, SCORING, play_each
from tau2_agent.records.episode_row import episode_row
from tau2_agent.rollout import model_rollout
from tau2_agent.rollout.episode import Limits, run_episode
from tau2_agent.rollout.trajectory import INFRASTRUCTURE_ENDS, EndReason, JobStop, Trajectory
from tau2_agent.source_code import closure
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import Users, make_user
from tau2_reward_shaping import PartialWeights

TASKS = load_tasks("small")[:3]


def play(jobs, ends, concurrency=8, **more):
    """Play jobs whose attempts end as told; returns the rows and (session, sample) of each play."""
    plays, now, most = [], 0, 0

    async def episode(task, session, sample):
        nonlocal now, most
        plays.append((session, sample))
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return Trajectory(task.id, [], ends(task, int(session.rpartition("/")[2])))

    rows = []
    args = SimpleNamespace(seed=4, concurrency=concurrency, weights=PartialWeights())
    users = Users(max_failure_share=1.0)
    asyncio.run(play_each(jobs, episode, users, args, lambda row, _: rows.append(row), **more))
    assert most <= concurrency
    return rows, plays


@pytest.mark.parametrize(
    ("roots", "inside", "outside"),
    [
        (
            PLAYING,
            "rollout.episode rollout.chat_template rollout.model_rollout users.registry"
            " users.scripted.user users.llm_user inference.sglang_client"
            " inference.transformers_policy benchmark.environment",
            "reward.scoring evaluation.results",
        ),
        (
            SCORING,
            "reward.scoring reward.action_checks records.episode_row records.counters",
            "users.registry evaluation.results",
        ),
    ],
)
def test_code_that_plays_and_code_that_scores(roots, inside, outside) -> None:
    found = closure(*roots).keys()
    assert found >= {f"tau2_agent.{name}" for name in inside.split()}
    assert not found & {f"tau2_agent.{name}" for name in outside.split()}
    assert ("tau2_reward_shaping" in found) == (roots is SCORING)


def test_each_trial_has_a_stream_and_a_user_of_its_own() -> None:
    jobs = [(task, trial) for task in TASKS for trial in range(4)]
    rows, plays = play(jobs, lambda *_: EndReason.MAX_STEPS, concurrency=2)
    assert len({session for session, _ in plays}) == len(jobs) == len(plays)
    assert {(row.task_id, row.trial) for row in rows} == {(task.id, n) for task, n in jobs}
    # Of the seed, too: another evaluation draws otherwise.
    assert all(session.startswith("4/") for session, _ in plays)
    # The draw of who asks is by trial alone: the same in each attempt.
    assert sorted(sample for _, sample in plays) == sorted(["0", "1", "2", "3"] * len(TASKS))


@pytest.mark.parametrize("end", sorted(INFRASTRUCTURE_ENDS))
def test_what_the_infrastructure_ended_is_played_again_then_left_out(end) -> None:
    bad = TASKS[0].id

    def ends(task, attempt):
        lasting = task.id == bad
        return end if lasting or attempt == 1 else EndReason.MAX_STEPS

    rows, plays = play([(task, 0) for task in TASKS], ends)
    by_task = {row.task_id: row for row in rows}
    assert by_task[bad].excluded and by_task[bad].reward is None
    assert by_task[bad].attempts == ATTEMPTS == 3
    for task in TASKS[1:]:
        row = by_task[task.id]
        assert (row.excluded, row.attempts, row.reward) == (False, 2, 0.0)
    assert len(plays) == ATTEMPTS + 2 * 2
    assert len(set(plays)) == len(plays)  # another attempt draws otherwise


@pytest.mark.parametrize("end", sorted(INFRASTRUCTURE_ENDS))
def test_an_evaluation_of_which_too_much_fails_so_stops(end, monkeypatch) -> None:
    samples = []

    async def failing(task, policy, codec, settings, session, sample):
        samples.append(sample)
        return Trajectory(task.id, [], end)

    monkeypatch.setattr(model_rollout, "play", failing)
    args = SimpleNamespace(seed=4, concurrency=8, weights=PartialWeights(), max_failure_share=0.5)
    settings = SimpleNamespace(users=Users(max_failure_share=0.5))
    rows = []
    key = f"{'user' if end is EndReason.USER_ERROR else 'evaluation'}.max_failure_share"
    jobs = [(TASKS[0], trial) for trial in range(30)]
    with pytest.raises(JobStop, match=rf"\({key}\)"):
        asyncio.run(play_all(jobs, None, None, settings, args, lambda row, _: rows.append(row)))
    assert len(rows) >= 20  # fewer say nothing
    assert set(samples) <= {str(trial) for trial in range(30)}  # the user's draw


def test_rows_are_scored_with_the_weights_that_were_asked_for() -> None:
    tasks = {task.id: task for task in load_tasks("test")[3:10:3]}

    async def episode(task, session, sample):
        user, cut = make_user("scripted", task), Limits(max_steps=30)
        return await run_episode(task, make_agent("blind_script"), user, limits=cut)

    found = []
    for weights in (PartialWeights(1.0, 0.0, 0.0), PartialWeights(0.0, 0.0, 1.0)):
        args, rows = SimpleNamespace(seed=4, concurrency=8, weights=weights), []

        def write(row, trajectory, weights=weights, rows=rows):
            task = tasks[row.task_id]
            assert row.partial == episode_row(task, trajectory, weights=weights).partial
            rows.append(row.partial)

        jobs = [(task, 0) for task in tasks.values()]
        asyncio.run(play_each(jobs, episode, Users(), args, write))
        found.append(rows)
    assert len(found[0]) == len(tasks) and found[0] != found[1]
