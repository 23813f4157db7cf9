"""The scripted teacher's traces, in one wording of the user or in several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tau2_mock
import teacher_traces


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    tau2_mock.main(["--local_dir", str(folder), "--split", "train"])
    file = folder / "telecom_train_tasks.jsonl"
    some = file.read_text(encoding="utf-8").splitlines()[:5]
    file.write_text("\n".join(some) + "\n", encoding="utf-8")
    return file


def traces(tasks: Path, output: Path, *options: str) -> list[dict]:
    words = ["--tasks", str(tasks), "--output", str(output), "--prompt", "short", "--seed", "0"]
    assert teacher_traces.main([*words, *options]) == 0
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def said(row: dict) -> str:
    return " | ".join(turn["content"] for turn in row["messages"] if turn["role"] == "user")


def test_each_wording_is_a_trace_of_its_own_in_other_words(tasks, tmp_path, capsys):
    one = traces(tasks, tmp_path / "one.jsonl", "--user-phrasing", "train")
    three = traces(tasks, tmp_path / "three.jsonl", "--user-phrasing", "train", "--wordings", "3")
    assert "kept 15 of 15 episodes" in capsys.readouterr().out
    assert three[:5] == one  # the first wording is that of one alone
    assert [row["task_id"] for row in three] == 3 * [row["task_id"] for row in one]
    assert len({said(row) for row in three}) == 15
    assert {row["reward"] for row in three} == {1.0}


def test_what_the_agent_does_is_the_same_in_each_wording(tasks, tmp_path):
    rows = traces(tasks, tmp_path / "t.jsonl", "--user-phrasing", "train", "--wordings", "2")
    for first, second in zip(rows[:5], rows[5:], strict=True):
        calls = [
            [call["function"] for turn in row["messages"] for call in turn.get("tool_calls") or []]
            for row in (first, second)
        ]
        assert calls[0] == calls[1] and calls[0]
