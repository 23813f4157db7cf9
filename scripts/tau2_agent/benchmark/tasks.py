"""Tasks of tau2-bench telecom: splits, tasks by id, fault combinations, and who shares them.

Splits are tau2's own (`split_tasks.json`) and five more. `extra` is `full` without `base`: 2171
tasks that share no fault combination with train or test. It is partitioned for good by the
sha256 of the task id, so that no choice of ours decides what stays unseen:

    extra_unseen   400  only ever evaluated
    extra_dev      171  for choosing settings
    extra_train   1600  for training beyond the 74

and `all_train` is train and extra_train: what may be trained on. extra_train alone lacks some of
train's faults; none of its service tasks is about an overdue bill.

Only the wanted tasks are validated: parsing all 14 MB through pydantic costs a second, a split
costs a tenth of that, and nothing the second time. Other domains are left out on purpose.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from tau2.data_model.tasks import Task

from tau2_agent.benchmark.data_files import (
    DATA_VARIABLE,
    SPLITS,
    TASKS,
    TaskDataError,
    data_folder,
    file_sha256,
)
from tau2_agent.errors import PipelineError

DOMAIN = "telecom"
EXTRA_UNSEEN, EXTRA_DEV = 400, 171  # the rest of `extra` is for training

_TASK_ID = re.compile(r"\[(?P<issue>[^\[\]]+)\](?P<faults>[^\[\]]+)\[PERSONA:[^\[\]]+\]")
# How a task opens in the shipped file. JSON strings hold no raw newline, so this is exact.
_TASK_OPENS = b'\n  {\n    "id": '


class UnknownSplit(PipelineError):
    """No split of that name; the message lists the valid ones."""


class UnknownTask(PipelineError):
    """No task of that id."""


class TaskFileError(PipelineError):
    """A line of a task or trace file cannot be used: names the file, the line and the remedy."""


class Leak(NamedTuple):
    """A training task and an evaluated task with the same fault combination."""

    train_id: str
    eval_id: str


class TaskRow(NamedTuple):
    """A line of a task or trace file: the task it belongs to, and the whole line."""

    task_id: str
    row: dict[str, Any]


@dataclass
class _TaskSet:
    """One data folder. `sources` keeps the file's order; a source is JSON text or parsed JSON."""

    sources: dict[str, bytes | dict[str, Any]]
    splits: dict[str, list[str]]
    tasks: dict[str, Task] = field(default_factory=dict)

    def get(self, task_id: str) -> Task:
        if task_id not in self.tasks:
            source = self.sources[task_id]
            self.tasks[task_id] = (
                Task.model_validate_json(source)
                if isinstance(source, bytes)
                else Task.model_validate(source)
            )
        return self.tasks[task_id]


def split_ids(split: str) -> list[str]:
    """Ids of a split. tau2's splits come in tau2's order, the `extra` ones in hash order;
    `all_train` is one after the other.

    Hash order makes the first n tasks of an `extra` split a random sample of it. Raises
    UnknownSplit.
    """
    splits = _task_set().splits
    if split not in splits:
        raise UnknownSplit(f"split {split!r} does not exist; choose one of: {', '.join(splits)}")
    return list(splits[split])


def load_tasks(split: str) -> list[Task]:
    """Tasks of a split, in the order of `split_ids`. Shared objects: do not change them."""
    ids, task_set = split_ids(split), _task_set()
    return [task_set.get(task_id) for task_id in ids]


def get_task(task_id: str) -> Task:
    """The task of an id, from any split. A shared object: do not change it. Raises UnknownTask."""
    task_set = _task_set()
    if task_id not in task_set.sources:
        raise UnknownTask(
            f"task {task_id!r} does not exist; a valid id is {next(iter(task_set.sources))!r}"
        )
    return task_set.get(task_id)


def is_task(task_id: str) -> bool:
    """Whether the installed tau2 has a task of that id."""
    return task_id in _task_set().sources


def faults(task_id: str) -> tuple[str, frozenset[str]]:
    """Issue kind and fault set of a task id; the persona does not count. Raises UnknownTask."""
    match = _TASK_ID.fullmatch(task_id)
    if match is None:
        raise UnknownTask(
            f"task id {task_id!r} is not of the form [issue]fault|fault[PERSONA:name]"
        )
    return match["issue"], frozenset(match["faults"].split("|"))


def find_leaks(train_ids: Iterable[str], eval_ids: Iterable[str]) -> list[Leak]:
    """Pairs that share issue kind and fault set, whatever the persona; sorted, without repeats."""
    by_faults: dict[tuple[str, frozenset[str]], list[str]] = {}
    for train_id in sorted(set(train_ids)):
        by_faults.setdefault(faults(train_id), []).append(train_id)
    return [
        Leak(train_id, eval_id)
        for eval_id in sorted(set(eval_ids))
        for train_id in by_faults.get(faults(eval_id), [])
    ]


def read_task_file(path: Path | str) -> list[TaskRow]:
    """Read a task file (`metadata.task_id`) or a trace file (`task_id`), JSON lines.

    Raises TaskFileError for a line that was cut in half, is no object, names no task or an
    unknown one, and for an empty file; OSError when the file cannot be read.
    """
    rows = []
    known = _task_set().sources
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:  # JSONDecodeError, or half of a UTF-8 character
            raise TaskFileError(
                f"{where}: not valid JSON ({error}); the file was cut or edited. "
                "Delete it and run again: it is made anew."
            ) from None
        metadata = row.get("metadata", {}) if isinstance(row, dict) else None
        task_id = None
        if isinstance(metadata, dict):
            task_id = row.get("task_id", metadata.get("task_id"))
        if not isinstance(task_id, str):
            raise TaskFileError(
                f'{where}: no task id; expected {{"index": 0, "metadata": {{"task_id": "..."}}}} '
                'or a trace with "task_id". Make the file with tau2_mock.py or teacher_traces.py.'
            )
        if metadata.get("domain", DOMAIN) != DOMAIN:
            raise TaskFileError(
                f"{where}: domain {metadata['domain']!r}; this pipeline knows only {DOMAIN!r}."
            )
        if task_id not in known:
            raise TaskFileError(
                f"{where}: task {task_id!r} does not exist in {data_folder()}. "
                "Make the file again with the tau2 that is installed."
            )
        rows.append(TaskRow(task_id, row))
    if not rows:
        raise TaskFileError(f"{path}: holds no task. Delete it and run again: it is made anew.")
    return rows


def _task_set() -> _TaskSet:
    return _read_task_set(data_folder())


@lru_cache(maxsize=2)
def _read_task_set(folder: Path) -> _TaskSet:
    tasks_path, splits_path = folder / TASKS, folder / SPLITS
    try:
        listed = json.loads(splits_path.read_bytes())
        text = tasks_path.read_bytes()
        sources = _cut_tasks(text)
        if sources.keys() != set(listed["full"]):  # another layout than the shipped one
            sources = _parse_tasks(text)
        _check_splits(listed, sources)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TaskDataError(
            f"{tasks_path} with {splits_path.name} cannot be read "
            f"({type(error).__name__}: {error}). Install tau2 again, or let {DATA_VARIABLE} name "
            "a complete data folder."
        ) from error
    order = {task_id: place for place, task_id in enumerate(sources)}
    splits = {name: sorted(set(ids), key=order.__getitem__) for name, ids in listed.items()}
    base = set(splits["base"])
    extra = sorted((i for i in splits["full"] if i not in base), key=_id_hash)
    dev_end = EXTRA_UNSEEN + EXTRA_DEV
    splits["extra"] = extra
    splits["extra_train"] = extra[dev_end:]
    splits["extra_dev"] = extra[EXTRA_UNSEEN:dev_end]
    splits["extra_unseen"] = extra[:EXTRA_UNSEEN]
    splits["all_train"] = [*splits["train"], *splits["extra_train"]]
    return _TaskSet(sources, splits)


def _cut_tasks(text: bytes) -> dict[str, bytes | dict[str, Any]]:
    """Cut the shipped file into its tasks without parsing it; empty for another layout."""
    sources: dict[str, bytes | dict[str, Any]] = {}
    if not text.rstrip().endswith(b"\n  }\n]"):
        return sources
    for piece in text.split(_TASK_OPENS)[1:]:
        task_id = json.loads(piece[: piece.index(b",\n")])
        sources[task_id] = b'{"id": ' + piece.rstrip(b" \r\n,]")
    return sources


def _parse_tasks(text: bytes) -> dict[str, bytes | dict[str, Any]]:
    parsed = json.loads(text)
    if isinstance(parsed, dict):
        parsed = parsed["tasks"]
    return {task["id"]: task for task in parsed}


def _check_splits(listed: dict[str, list[str]], sources: dict[str, Any]) -> None:
    for name, ids in listed.items():
        if lost := set(ids) - sources.keys():
            raise ValueError(f"split {name!r} names {len(lost)} unknown tasks, {min(lost)!r} first")
    if any(not listed.get(name) for name in ("train", "test", "base", "full")):
        raise ValueError("split_tasks.json lacks train, test, base or full")


def _id_hash(task_id: str) -> str:
    return hashlib.sha256(task_id.encode()).hexdigest()


def tasks_sha256() -> str:
    """SHA-256 of the task file that was played, as `sha256sum` gives it."""
    return file_sha256(data_folder() / TASKS)
