"""Tasks: splits that never move, tasks equal to tau2's, leaks, and errors that name the line."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tau2.domains.telecom import environment as tau2_telecom

from tau2_agent.benchmark import tasks


@pytest.fixture(scope="module")
def tau2_tasks():
    return {task.id: task for task in tau2_telecom.get_tasks(None)}


@pytest.mark.parametrize(
    ("split", "size"),
    [
        ("train", 74),
        ("test", 40),
        ("small", 20),
        ("base", 114),
        ("full", 2285),
        ("extra", 2171),
        ("extra_train", 1600),
        ("extra_dev", 171),
        ("extra_unseen", 400),
        ("all_train", 1674),
    ],
)
def test_sizes(split, size):
    assert len(tasks.split_ids(split)) == len(set(tasks.split_ids(split))) == size


def test_tau2_splits_are_tau2s_own_tasks_in_its_order(tau2_tasks):
    listed = tau2_telecom.get_tasks_split()
    for split in ("train", "test", "small", "base", "full"):
        wanted = [task for task in tau2_tasks.values() if task.id in set(listed[split])]
        assert tasks.load_tasks(split) == wanted


def test_extra_is_a_partition_that_never_moves():
    parts = [tasks.split_ids(name) for name in ("extra_unseen", "extra_dev", "extra_train")]
    assert [*parts[0], *parts[1], *parts[2]] == tasks.split_ids("extra")
    assert set(tasks.split_ids("extra")) == set(tasks.split_ids("full")) - set(
        tasks.split_ids("base")
    )
    digests = [hashlib.sha256("\n".join(part).encode()).hexdigest()[:16] for part in parts]
    assert digests == PARTITION


PARTITION = ["9f31cc32b295e986", "ddcd5f92c7b57947", "9b8d1ac5f42d74d8"]


def test_what_may_be_trained_on_is_train_and_extra_train_and_has_every_fault_of_train():
    both, alone = tasks.split_ids("all_train"), tasks.split_ids("extra_train")
    assert both == tasks.split_ids("train") + alone

    def names(ids, issue):
        return set().union(*(tasks.faults(i)[1] for i in ids if tasks.faults(i)[0] == issue))

    # what the module says of extra_train
    missing = names(both, "service_issue") - names(alone, "service_issue")
    assert missing == {"overdue_bill_suspension"}


def test_no_split_for_training_leaks_into_an_evaluated_one():
    for train, others in (("all_train", ["extra_dev"]), ("extra_dev", [])):
        for evaluated in ("test", "extra_unseen", *others):
            assert tasks.find_leaks(tasks.split_ids(train), tasks.split_ids(evaluated)) == []


def test_every_fault_combination_occurs_once():
    ids = tasks.split_ids("full")
    assert len({tasks.faults(task_id) for task_id in ids}) == len(ids)


def test_leak_ignores_persona_and_order_of_faults():
    train = ["[mms_issue]a|b[PERSONA:None]", "[mms_issue]a[PERSONA:None]"]
    evaluated = ["[mms_issue]b|a[PERSONA:Hard]", "[service_issue]a[PERSONA:None]"]
    assert tasks.find_leaks(train * 2, evaluated) == [(train[0], evaluated[0])]


def test_unknown_names_are_refused_with_the_valid_ones():
    with pytest.raises(tasks.UnknownSplit, match=r"'trian' does not exist.*train, test"):
        tasks.load_tasks("trian")
    with pytest.raises(tasks.UnknownTask, match="does not exist"):
        tasks.get_task("[mms_issue]nothing[PERSONA:None]")
    with pytest.raises(tasks.UnknownTask, match="not of the form"):
        tasks.faults("airplane_mode_on")


def test_second_load_reads_nothing(monkeypatch):
    before = tasks.load_tasks("test")
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr("builtins.open", None)
    after = tasks.load_tasks("test")
    assert len(after) == 40 and all(a is b for a, b in zip(before, after, strict=True))


def folder_with(tmp_path: Path, task_text: str | bytes, splits: dict | None = None) -> Path:
    folder = tmp_path / "tau2" / "domains" / "telecom"
    shutil.copytree(tasks.data_folder(), folder)
    text = task_text.encode() if isinstance(task_text, str) else task_text
    (folder / "tasks.json").write_bytes(text)
    if splits:
        (folder / "split_tasks.json").write_text(json.dumps(splits))
    return tmp_path


def test_data_dir_of_an_upstream_checkout_is_honoured(tmp_path, monkeypatch):
    shipped = json.loads((tasks.data_folder() / "tasks.json").read_bytes())
    shipped[7]["ticket"] = "changed here"
    # Another layout than the shipped file's: the slower way must read it too.
    folder = folder_with(tmp_path, json.dumps(shipped))
    monkeypatch.setenv("TAU2_DATA_DIR", str(folder))
    assert tasks.data_folder() == folder / "tau2" / "domains" / "telecom"
    assert tasks.get_task(shipped[7]["id"]).ticket == "changed here"
    assert len(tasks.load_tasks("test")) == 40
    monkeypatch.delenv("TAU2_DATA_DIR")
    assert tasks.get_task(shipped[7]["id"]).ticket != "changed here"


def test_data_dir_without_tasks_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TAU2_DATA_DIR", str(tmp_path))
    with pytest.raises(tasks.TaskDataError, match=r"TAU2_DATA_DIR=.*no .*tasks\.json.*unset it"):
        tasks.load_tasks("test")


@pytest.mark.parametrize("lost", [7_000_000, 10_000, 20])
def test_half_a_task_file_is_an_error(tmp_path, monkeypatch, lost):
    text = (tasks.data_folder() / "tasks.json").read_bytes()
    monkeypatch.setenv("TAU2_DATA_DIR", str(folder_with(tmp_path, text[:-lost])))
    with pytest.raises(tasks.TaskDataError, match="cannot be read"):
        tasks.split_ids("test")


def line(task_id: str) -> str:
    return json.dumps({"index": 0, "metadata": {"domain": "telecom", "task_id": task_id}}) + "\n"


def test_task_and_trace_files_are_read(tmp_path):
    first, second = tasks.split_ids("test")[:2]
    path = tmp_path / "rows.jsonl"
    path.write_text(line(first) + "\n" + json.dumps({"task_id": second, "messages": []}) + "\n")
    rows = tasks.read_task_file(path)
    assert [row.task_id for row in rows] == [first, second]
    assert rows[1].row["messages"] == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (line("x")[:30], "line 2: not valid JSON"),
        ('{"task_id": "\N{LATIN SMALL LETTER E WITH ACUTE}'.encode()[:-1], "not valid JSON"),
        ("[1, 2]\n", "line 2: no task id"),
        ('{"index": 3}\n', "line 2: no task id"),
        ('{"index": 3, "metadata": null}\n', "line 2: no task id"),
        ('{"task_id": 7}\n', "line 2: no task id"),
        (line("[mms_issue]nothing[PERSONA:None]"), "line 2: task .* does not exist"),
        (line("x").replace("telecom", "airline"), "line 2: domain 'airline'"),
    ],
)
def test_bad_line_is_named_with_a_remedy(tmp_path, bad, said):
    path = tmp_path / "rows.jsonl"
    text = bad.encode() if isinstance(bad, str) else bad
    path.write_bytes(line(tasks.split_ids("test")[0]).encode() + text)
    with pytest.raises(tasks.TaskFileError, match=rf"rows\.jsonl, .*{said}"):
        tasks.read_task_file(path)


def test_file_without_a_task_is_an_error(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n")
    with pytest.raises(tasks.TaskFileError, match="holds no task"):
        tasks.read_task_file(path)


@pytest.mark.slow
def test_importing_tasks_does_not_pull_in_litellm():
    code = "import sys, tau2_agent.benchmark.tasks; sys.exit('litellm' in sys.modules)"
    scripts = Path(tasks.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=scripts).returncode == 0
