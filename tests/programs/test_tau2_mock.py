"""tau2_mock.py: prompt files that slime can read, written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tau2_mock
from tau2_agent import files
from tau2_agent.benchmark import tasks
from tau2_agent.errors import InputError

PROGRAM = Path(tau2_mock.__file__)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


def test_train_and_test_are_written_and_lead_back_to_their_tasks(tmp_path, capsys):
    tau2_mock.main(["--local_dir", str(tmp_path / "new" / "data")])
    for split in ("train", "test"):
        path = tmp_path / "new" / "data" / f"telecom_{split}_tasks.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        # What slime's Dataset takes with --input-key index --metadata-key metadata.
        assert [row["index"] for row in rows] == list(range(len(rows)))
        assert all(set(row) == {"index", "metadata"} for row in rows)
        found = [tasks.get_task(row["metadata"]["task_id"]) for row in rows]
        assert found == tasks.load_tasks(split)
        assert {row["metadata"]["split"] for row in rows} == {split}
        assert {row["metadata"]["domain"] for row in rows} == {"telecom"}
        assert [row.task_id for row in tasks.read_task_file(path)] == tasks.split_ids(split)
    assert "74 tasks" in capsys.readouterr().out


@pytest.mark.parametrize("split", ["small", "full", "extra_unseen"])
def test_any_split(tmp_path, split):
    tau2_mock.main(["--local_dir", str(tmp_path), "--split", split])
    [path] = tmp_path.iterdir()
    assert path.name == f"telecom_{split}_tasks.jsonl"
    assert len(path.read_text().splitlines()) == len(tasks.split_ids(split))


def test_same_content_twice(tmp_path):
    contents = []
    for _ in range(2):
        tau2_mock.main(["--local_dir", str(tmp_path), "--split", "extra"])
        contents.append((tmp_path / "telecom_extra_tasks.jsonl").read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.slow
def test_unknown_split_writes_nothing_and_ends_in_one_line(tmp_path):
    done = run("--local_dir", str(tmp_path), "--split", "train", "tset")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "split 'tset' does not exist; choose one of:" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_bad_data_dir_ends_in_one_line(tmp_path):
    done = run("--local_dir", str(tmp_path), TAU2_DATA_DIR=str(tmp_path / "nothing"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "TAU2_DATA_DIR" in done.stderr and "unset it" in done.stderr


@pytest.mark.slow
def test_folder_that_is_a_file_ends_in_one_line(tmp_path):
    (tmp_path / "data").write_text("")
    done = run("--local_dir", str(tmp_path / "data" / "more"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot be written" in done.stderr and "--local_dir" in done.stderr


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_keeps_the_old_file_and_names_the_remedy(tmp_path, monkeypatch, code):
    path = tmp_path / "telecom_test_tasks.jsonl"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(InputError, match="full; nothing was written"):
        tau2_mock.main(["--local_dir", str(tmp_path), "--split", "test"])
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(path.name, "old")]
