"""The contamination gate: no fault combination of an evaluated split in the training data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import check_leakage
from tau2_agent.benchmark import tasks
from tau2_agent.files import write_jsonl


def train_file(path: Path, ids: list[str]) -> Path:
    write_jsonl(path, [{"index": i, "metadata": {"task_id": t}} for i, t in enumerate(ids)])
    return path


def check(tmp_path: Path, train: list[Path], split: str, *more: str) -> tuple[int, dict]:
    output = tmp_path / "leaks.json"
    files = [str(path) for path in train]
    status = check_leakage.main(
        ["--train", *files, "--eval-split", split, "--output", str(output), *more]
    )
    return status, json.loads(output.read_text())


OVERDUE = "[service_issue]overdue_bill_suspension"
MISSING = {("extra_train", "test"): {OVERDUE: 6}, ("extra_train", "extra_unseen"): {OVERDUE: 1}}


@pytest.mark.parametrize("train", ["train", "extra_train", "all_train"])
@pytest.mark.parametrize("evaluated", ["test", "extra_unseen"])
def test_clean_data_passes(tmp_path, train, evaluated):
    file = train_file(tmp_path / "train.jsonl", tasks.split_ids(train))
    status, report = check(tmp_path, [file], evaluated)
    assert status == 0
    assert report == {
        "split": evaluated,
        "train_files": [str(file)],
        "train_tasks": len(tasks.split_ids(train)),
        "eval_tasks": len(tasks.split_ids(evaluated)),
        "in_sample": False,
        "leaks": 0,
        "leaked_train_ids": [],
        "leaked_eval_ids": [],
        "ok": True,
        "missing_faults": {str(file): MISSING.get((train, evaluated), {})},
    }


def test_a_fault_that_a_file_lacks_is_noted_whatever_the_other_files_have(tmp_path, capsys):
    """By issue, too: the same fault is found in another way there."""
    ids = tasks.split_ids("train")
    name = "airplane_mode_on"
    without = [i for i in ids if not (i.startswith("[mms_issue]") and name in i)]
    assert any(name in i for i in without)
    files = [train_file(tmp_path / "a.jsonl", ids), train_file(tmp_path / "b.jsonl", without)]
    status, report = check(tmp_path, files, "test")
    missing = {f"[mms_issue]{name}": 9}
    assert status == 0
    assert report["missing_faults"] == {str(files[0]): {}, str(files[1]): missing}
    [note] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert f"no task of {files[1]} has [mms_issue]{name} (in 9); a stage" in note


def test_a_note_names_the_most_frequent_ones(tmp_path, capsys, monkeypatch):
    one = train_file(tmp_path / "one.jsonl", tasks.split_ids("train")[:1])
    _, report = check(tmp_path, [one], "test")
    missing = report["missing_faults"][str(one)]
    [note] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert all((name in note) == (n < 5) for n, name in enumerate(missing))
    assert f", and {len(missing) - 5} more; " in note
    monkeypatch.setattr(check_leakage, "NOTED", len(missing))
    check(tmp_path, [one], "test")
    [note] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert all(name in note for name in missing) and "more; " not in note


def test_missing_faults_stand_by_how_many_tasks_have_them():
    trained = ["[a]x[PERSONA:None]"]
    evaluated = [f"[{issue}]{names}[PERSONA:Hard]" for issue in "ab" for names in ("x|y", "x", "z")]
    assert list(check_leakage.missing_faults(trained, evaluated).items()) == [
        *(("[b]x", 2), ("[a]y", 1), ("[a]z", 1), ("[b]y", 1), ("[b]z", 1)),
    ]


def test_one_leaked_task_in_the_traces_fails_with_its_id(tmp_path, capsys):
    leaked = tasks.split_ids("test")[7]
    clean = train_file(tmp_path / "train.jsonl", tasks.split_ids("train"))
    traces = tmp_path / "traces.jsonl"
    write_jsonl(traces, [{"task_id": leaked, "messages": [], "tools": []}])
    status, report = check(tmp_path, [clean, traces], "test")
    assert (status, report["ok"], report["leaks"]) == (1, False, 1)
    assert report["leaked_train_ids"] == report["leaked_eval_ids"] == [leaked]
    message = capsys.readouterr().err
    assert message.count(leaked) == 2 and "shares 1 fault combination" in message


def test_another_persona_or_order_of_faults_is_still_a_leak(tmp_path, monkeypatch):
    [evaluated] = [i for i in tasks.split_ids("test") if i.count("|") == 1][:1]
    issue, rest = evaluated.split("]", 1)
    listed, persona = rest.split("[PERSONA:")
    other = next(p for p in ("None", "Easy", "Hard") if not persona.startswith(p))
    disguised = f"{issue}]{'|'.join(reversed(listed.split('|')))}[PERSONA:{other}]"
    assert disguised != evaluated
    monkeypatch.setattr(check_leakage, "read_task_file", lambda _: [tasks.TaskRow(disguised, {})])
    status, report = check(tmp_path, [tmp_path / "any.jsonl"], "test")
    assert status == 1
    assert (report["leaked_train_ids"], report["leaked_eval_ids"]) == ([disguised], [evaluated])


def test_many_leaks_are_counted_and_twenty_are_shown(tmp_path, capsys):
    file = train_file(tmp_path / "train.jsonl", tasks.split_ids("test"))
    status, report = check(tmp_path, [file], "test")
    assert (status, report["leaks"]) == (1, 40)
    assert len(report["leaked_train_ids"]) == len(report["leaked_eval_ids"]) == 20
    message = capsys.readouterr().err
    assert message.count("and 20 more") == 2 and "shares 40 fault combinations" in message


def test_a_split_that_is_in_sample_on_purpose_passes_and_says_so(tmp_path):
    file = train_file(tmp_path / "train.jsonl", tasks.split_ids("train"))
    status, report = check(tmp_path, [file], "train", "--in-sample-splits", "train")
    assert (status, report["ok"], report["in_sample"], report["leaks"]) == (0, True, True, 74)
    status, report = check(tmp_path, [file], "train", "--in-sample-splits", "small")
    assert (status, report["in_sample"]) == (1, False)


def test_bad_training_files_are_named(tmp_path):
    file = train_file(tmp_path / "train.jsonl", tasks.split_ids("train"))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(tasks.TaskFileError, match=r"train\.jsonl, line 74: not valid JSON"):
        check(tmp_path, [file], "test")
    with pytest.raises(tasks.UnknownSplit):
        check(tmp_path, [train_file(file, tasks.split_ids("train"))], "tset")


@pytest.mark.slow
def test_exit_status_of_the_program(tmp_path):
    file = train_file(tmp_path / "train.jsonl", tasks.split_ids("test")[:1])
    program = [sys.executable, check_leakage.__file__, "--output", str(tmp_path / "out.json")]
    leaking = subprocess.run(
        [*program, "--train", str(file), "--eval-split", "test"], capture_output=True, text=True
    )
    assert (leaking.returncode, "Traceback" in leaking.stderr) == (1, False)
    absent = subprocess.run(
        [*program, "--train", str(tmp_path / "no.jsonl"), "--eval-split", "test"],
        capture_output=True,
        text=True,
    )
    assert (absent.returncode, "Traceback" in absent.stderr) == (2, False)
