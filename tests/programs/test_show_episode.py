"""A conversation in the terminal."""

from __future__ import annotations

import asyncio

import pytest

import show_episode
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.errors import InputError
from tau2_agent.records.conversation import make_transcript
from tau2_agent.records.episode_row import episode_row
from tau2_agent.records.samples import TRANSCRIPTS
from tau2_agent.records.transcripts import TranscriptFile, transcripts_path
from tau2_agent.rollout.episode import run_episode
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user

TASKS = load_tasks("small")[:3]


def evaluation(path, agents, trial=0, **about):
    with TranscriptFile(path) as file:
        for task, name in zip(TASKS, agents, strict=True):
            episode = run_episode(task, make_agent(name), make_user("scripted", task))
            trajectory = asyncio.run(episode)
            row = episode_row(task, trajectory, trial=trial)
            file.append(make_transcript(task, trajectory, row, **about))
    return path


@pytest.fixture
def results(tmp_path):
    evaluation(transcripts_path(tmp_path / "eval.json"), ["scripted", "vague", "scripted"])
    return tmp_path / "eval.json"


def shown(capsys, *words) -> str:
    show_episode.main([str(word) for word in words])
    return " ".join(capsys.readouterr().out.split())


def test_everything_is_a_line_each(results, capsys):
    show_episode.main([str(results)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["1", "solved"],
        ["2", "failed"],
        ["3", "solved"],
    ]
    assert TASKS[1].id in lines[1]


def test_one_conversation_by_number_or_words(results, capsys):
    for task in ("1", TASKS[0].id):
        text = shown(capsys, results, task)
        assert "0 agent: Hi! How can I help you today?" in text
        assert "→ get_customer_by_phone" in text and "agent's get_customer_by_phone:" in text
        assert "~ phone" in text and "✓ assertion" in text
        assert TASKS[0].id in text.replace(" ", "") and TASKS[1].id not in text.replace(" ", "")
    with pytest.raises(InputError, match=r"to list all of its episodes: show_episode\.py "):
        show_episode.main([str(results), "nonsense"])


def test_failures_only(results, capsys):
    text = shown(capsys, results, "--failures")
    assert text.count("agent: Hi!") == 1 and " failed " in text
    assert TASKS[1].id in text.replace(" ", "")


def test_one_trial_of_several(results, capsys):
    evaluation(transcripts_path(results), ["vague", "scripted", "scripted"], trial=1)
    for trial, state in ((0, "solved"), (1, "failed")):
        text = shown(capsys, results, "1", "--trial", trial)
        assert text.count("agent: Hi!") == 1 and f" {state} " in text


def test_the_whole_answer_of_a_tool_or_its_beginning(results, capsys):
    cut, whole = shown(capsys, results, "1"), shown(capsys, results, "1", "--whole")
    said = [text[text.index("agent: Hi!") :] for text in (cut, whole)]  # a long path is cut, too
    assert "…" in said[0] and "…" not in said[1] and len(said[0]) < len(said[1])
    assert '"phone_number": "555-123-2002"' in whole.replace("' ", "'")


def test_two_models_and_where_they_part(results, tmp_path, capsys):
    other = evaluation(transcripts_path(tmp_path / "other.json"), ["vague", "vague", "scripted"])
    text = shown(capsys, results, "1", "--compare", other)
    assert text.count("agent: Hi!") == 2 and "differ from message 2 on" in text
    assert "say the same" in shown(capsys, results, "3", "--compare", other)


def test_a_rollout_of_grpo(tmp_path, capsys):
    evaluation(tmp_path / TRANSCRIPTS, ["vague"] * 3, rollout=7, sample=0)
    assert "rollout 7, episode 0" in shown(capsys, tmp_path, "--rollout", 7)


def test_no_conversations_is_one_line_that_says_where(tmp_path):
    with pytest.raises(InputError, match=r"no conversations here; looked for .*transcripts"):
        show_episode.main([str(tmp_path / "none.json")])
