"""Attempts of a teacher that were paid for: other code scores them anew, nobody plays again."""

from __future__ import annotations

import asyncio

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.records.episode_log import EpisodeLog
from tau2_agent.records.episode_row import episode_row
from tau2_agent.rollout.episode import run_episode
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.teachers.rejection_sampling import Attempt, score_anew
from tau2_agent.users.registry import Users


def attempt(task, agent: str) -> Attempt:
    episode = run_episode(task, make_agent(agent), Users().make(task, "0"))
    row = episode_row(task, asyncio.run(episode), keep_messages=True)
    return Attempt(**row.model_dump(exclude_unset=True), teacher_report={"cost": 1})


def test_scored_anew(tmp_path) -> None:
    solved, failed = load_tasks("small")[:2]
    played = [attempt(solved, "scripted"), attempt(failed, "do_nothing")]
    assert [row.solved for row in played] == [True, False]
    wrong = [row.model_copy(update={"reward": 1 - row.reward}) for row in played]
    path = tmp_path / "attempts.jsonl"

    def opened(scored_by: str) -> EpisodeLog:
        return EpisodeLog(path, "f", row_type=Attempt, made_by={"scored_by": scored_by})

    with opened("old") as log:
        for row in wrong:
            log.append(row)
        assert score_anew(log, "old") == 0
    with opened("new") as log:
        assert score_anew(log, "new") == 2
    with opened("new") as log:
        assert score_anew(log, "new") == 0
        rows = list(log.rows.values())
    same = ("task_id", "reward", "partial", "reward_info", "messages", "seconds", "teacher_report")
    for was, row in zip(played, rows, strict=True):
        assert [getattr(row, name) for name in same] == [getattr(was, name) for name in same]
        assert row.scored_by == "new"
