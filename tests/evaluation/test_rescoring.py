"""Kept conversations are scored anew; nothing that was played is played again."""

from __future__ import annotations

import asyncio

import pytest

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.evaluation import rescoring
from tau2_agent.evaluation.playing import PLAYING, SCORING
from tau2_agent.evaluation.results import played_at
from tau2_agent.records.conversation import make_transcript
from tau2_agent.records.episode_log import EpisodeLog, read_rows
from tau2_agent.records.episode_row import EpisodeRow, episode_row
from tau2_agent.records.transcripts import Tokens, TranscriptFile, read_transcripts
from tau2_agent.rollout.episode import Limits, run_episode
from tau2_agent.source_code import code_digest
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user
from tau2_reward_shaping import PartialWeights

FIRST, OTHER = PartialWeights(0.7, 0.1, 0.2), PartialWeights(0.2, 0.1, 0.7)
TOKENS = Tokens(prompt_length=3, ids=[5], mask=[1], log_probs=[-0.5], pieces=["x"])


@pytest.fixture
def kept(tmp_path):
    """Episodes that end half-way or with nothing done, as an evaluation keeps them."""
    tasks = load_tasks("test")[:12:3]
    trajectories, cut = [], Limits(max_steps=30)
    for task, agent in zip(tasks, ["do_nothing", "blind_script"] * 2, strict=True):
        episode = run_episode(task, make_agent(agent), make_user("scripted", task), limits=cut)
        trajectories.append(asyncio.run(episode))
    log, transcripts = opened(tmp_path, FIRST)
    with log, transcripts:
        for task, trajectory in zip(tasks, trajectories, strict=True):
            row = episode_row(task, trajectory, weights=FIRST)
            # What an earlier version found in the messages, and what none does.
            row.user_end, row.counters = "stop it", {"cut_turns": 2, "of_old": 1}
            said = make_transcript(task, trajectory, row)
            # Not all clocks are kept.
            about = {"tokens": TOKENS, "started": "" if task is tasks[0] else said.started}
            transcripts.append(said.model_copy(update=about))
            log.append(row)
    return tmp_path, {task.id: task for task in tasks}, trajectories


def opened(folder, weights, commit="first"):
    made_by = rescoring.made_by(weights) | {"commit": commit}
    log = EpisodeLog(folder / "e.jsonl", "run", made_by=made_by)
    return log, TranscriptFile(folder / "t.gz", "run")


def test_a_row_says_what_played_and_what_scored_it() -> None:
    made = rescoring.made_by(FIRST)
    scored = f"{code_digest(*SCORING)} 0.7,0.1,0.2"
    assert (made["code"], made["scored_by"]) == (code_digest(*PLAYING), scored)
    assert set(made) == {"code", "scored_by", "commit", "clean"} <= set(EpisodeRow.model_fields)


def test_other_weights_score_the_same_episodes(kept, capsys) -> None:
    folder, tasks, trajectories = kept
    before = read_rows(folder / "e.jsonl")
    started = [one.started for one in read_transcripts(folder / "t.gz")]
    log, transcripts = opened(folder, OTHER, "later")
    with log, transcripts:
        assert rescoring.rescore(log, transcripts, tasks, OTHER) == len(tasks)
        assert rescoring.rescore(log, transcripts, tasks, OTHER) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("4 episodes were scored by other code or weights")
    after = {row.task_id: row for row in read_rows(folder / "e.jsonl")}
    said = {one.task_id: one for one in read_transcripts(folder / "t.gz")}
    assert len(after) == len(said) == 4
    changed = 0
    for row, trajectory in zip(before, trajectories, strict=True):
        new = after[row.task_id]
        asked = episode_row(tasks[row.task_id], trajectory, weights=OTHER)
        assert (new.reward, new.partial) == (asked.reward, asked.partial)
        assert new.reward_info == asked.reward_info == row.reward_info
        assert new.counters == asked.counters | {"cut_turns": 2}
        assert new.user_end == asked.user_end
        assert new.scored_by != row.scored_by
        assert (new.seconds, new.commit, new.code) == (row.seconds, "first", row.code)
        assert said[row.task_id].partial == new.partial
        assert said[row.task_id].tokens == TOKENS
        changed += new.partial != row.partial
    assert changed > 0
    assert [one.started for one in said.values()] == started
    assert started[0] == "" and all(started[1:])


def test_only_what_is_asked_for_is_scored(kept) -> None:
    folder, tasks, _ = kept
    _, *others = tasks
    log, transcripts = opened(folder, OTHER)
    with log, transcripts:
        assert rescoring.rescore(log, transcripts, {t: tasks[t] for t in others}, OTHER) == 3
    now = rescoring.scored_by(OTHER)
    assert [row.scored_by == now for row in log.rows.values()] == [False, True, True, True]


def test_an_edited_reward_is_another_scorer(kept, monkeypatch) -> None:
    folder, tasks, _ = kept
    monkeypatch.setattr(rescoring, "SCORING", ("tau2_reward_shaping",))  # another digest
    log, transcripts = opened(folder, FIRST)
    with log, transcripts:
        assert rescoring.rescore(log, transcripts, tasks, FIRST) == len(tasks)


def test_a_lost_conversation_is_left_to_be_played_again(kept) -> None:
    folder, tasks, _ = kept
    (folder / "t.gz").unlink()
    log, transcripts = opened(folder, OTHER)
    with log, transcripts:
        assert rescoring.rescore(log, transcripts, tasks, OTHER) == 0
        assert len(log.missing(tasks, 1, transcripts.keys)) == len(tasks)


def test_rows_say_when_they_were_played(tmp_path) -> None:
    """A later start does not stamp what an earlier one played."""
    for task, stamp in (("1", ("aaa", True)), ("2", ("bbb", False)), ("3", ("bbb", False))):
        made_by = {"code": stamp[0], "commit": stamp[0], "clean": stamp[1]}
        with EpisodeLog(tmp_path / "e.jsonl", "run", made_by=made_by) as log:
            log.append(EpisodeRow(task_id=task, end="user_stop"))
    rows = read_rows(tmp_path / "e.jsonl")
    assert [row.commit for row in rows] == ["aaa", "bbb", "bbb"]
    assert played_at(rows) == {"bbb+": 2, "aaa": 1}
