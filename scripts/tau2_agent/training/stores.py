"""The stores that trainings left: what each is, whether something uses it, and removing it.

A store is in use while a checkpoint is a link to it, or while a training of its target runs, which
may be writing into any store of that target. One that a kill left, and that the same command would
resume, is no old one either; it goes only by its name. What a store is: resumable.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tau2_agent.errors import PipelineError
from tau2_agent.files import DONE_FILE, read_object
from tau2_agent.locks import NO_LOCKS
from tau2_agent.training.resumable import STAGE_FILE, STORE

REMOVED = ".removed-"  # what a killed removal leaves begins with this


class InUse(PipelineError):
    """A store that must not be removed; says why."""


@dataclass(frozen=True)
class Store:
    """One store. size: bytes on the disk. used: when a file of it last changed, in seconds.

    linked: the checkpoint that points to it. trained_by: who trains its target at the moment.
    finished: whether its training came to its end. resumes: whether the same command goes on here.
    decides: what its training depended on: inputs, code and hyperparameters by name.
    """

    folder: Path
    target: str
    size: int
    used: float
    finished: bool
    linked: Path | None = None
    trained_by: str | None = None
    resumes: bool = False
    decides: dict[str, Any] = field(default_factory=dict)
    trained: str = ""

    @property
    def is_old(self) -> bool:
        """Whether nothing uses it and no training would go on in it."""
        return self.linked is None and self.trained_by is None and not self.resumes

    @property
    def state(self) -> str:
        """In words."""
        if self.linked is not None:
            return f"{self.linked.name} points here"
        if self.trained_by is not None:
            return f"its target is being trained ({self.trained_by})"
        if self.resumes:
            return "interrupted; the same command resumes it"
        return "old" if self.finished else "old, unfinished"


def find_stores(checkpoints: Path) -> list[Store]:
    """The stores of a folder of checkpoints, by target and then by use, the latest first."""
    root = checkpoints / STORE
    if not root.is_dir():
        return []
    links = _links(checkpoints)
    chosen_at = {path.name: path.lstat().st_mtime for path in links.values()}
    found = []
    for folder in root.iterdir():
        if not folder.is_dir() or folder.name.startswith(REMOVED):
            continue
        record, done = read_object(folder / STAGE_FILE), read_object(folder / DONE_FILE)
        target = record.get("target") or folder.name.rpartition("-")[0] or folder.name
        found.append(
            Store(
                folder=folder,
                target=target,
                size=_size(folder),
                used=_last_change(folder),
                finished=bool(done),
                linked=links.get(folder.resolve()),
                trained_by=_trainer(root, target),
                decides=_decides(record),
                trained=_trained(done),
            )
        )
    found.sort(key=lambda store: (store.target, -store.used))
    latest = {store.target: store for store in reversed(found)}
    return [
        replace(store, resumes=_resumes(store, chosen_at.get(store.target, 0.0)))
        if store is latest[store.target]
        else store
        for store in found
    ]


def _resumes(store: Store, chosen_at: float) -> bool:
    """Whether a target's latest store waits for its training to go on.

    chosen_at: when the target became a link to another one; later than that it was left for good.
    """
    aside = ".aside-" in store.folder.name  # what no training goes on in
    return not store.finished and not aside and store.used > chosen_at


def differences(stores: Iterable[Store]) -> dict[Path, dict[str, Any]]:
    """Store -> what of its training's recipe is not the same in all stores of its target."""
    by_target: dict[str, list[Store]] = {}
    for store in stores:
        by_target.setdefault(store.target, []).append(store)
    found = {}
    for group in by_target.values():
        names = list(dict.fromkeys(name for store in group for name in store.decides))
        differ = [
            name
            for name in names
            if len({json.dumps(store.decides.get(name), sort_keys=True) for store in group}) > 1
        ]
        for store in group:
            found[store.folder] = {name: store.decides.get(name) for name in differ}
    return found


def remove(store: Store, checkpoints: Path) -> None:
    """Remove a store for good. Raises InUse for one that is linked, or whose target is trained."""
    root = checkpoints / STORE
    with _no_trainer(root, store.target) as free:
        if not free:
            raise InUse(
                f"{store.folder.name}: {store.target} is being trained "
                f"({_holder(root, store.target)}); wait for its end, or stop it"
            )
        if link := _links(checkpoints).get(store.folder.resolve()):
            raise InUse(
                f"{store.folder.name}: {link} points here; train or delete that checkpoint first"
            )
        # Away at once: a killed removal must not leave half a store to be resumed.
        gone = root / f"{REMOVED}{store.folder.name}"
        shutil.rmtree(gone, ignore_errors=True)
        store.folder.rename(gone)
        shutil.rmtree(gone)


def sweep(checkpoints: Path) -> None:
    """Finish removals that were killed."""
    for folder in (checkpoints / STORE).glob(f"{REMOVED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _links(checkpoints: Path) -> dict[Path, Path]:
    """Store -> the checkpoint that is a link to it."""
    return {path.resolve(): path for path in checkpoints.iterdir() if path.is_symlink()}


@contextmanager
def _no_trainer(root: Path, target: str) -> Iterator[bool]:
    """Hold the target's lock, so that no training of it begins; False if one has it."""
    path = root / f"{target}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        raise InUse(
            f"{path} belongs to {path.owner()}, and only they can tell whether {target} is being "
            "trained: let them remove its stores"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise InUse(
                f"{root} is on a file system without locks ({error.strerror}): nobody can tell "
                f"whether {target} is being trained. Remove its stores by hand"
            ) from None
        yield True
    finally:
        os.close(handle)


def _trainer(root: Path, target: str) -> str | None:
    """Who trains a target at the moment; None if nobody does, or no lock tells us."""
    path = root / f"{target}.lock"
    if not path.exists():
        return None
    try:
        with _no_trainer(root, target) as free:
            return None if free else _holder(root, target)
    except InUse:
        return None


def _holder(root: Path, target: str) -> str:
    try:
        return (root / f"{target}.lock").read_text(encoding="utf-8").strip() or "unknown"
    except OSError:
        return "unknown"


def _decides(record: dict[str, Any]) -> dict[str, Any]:
    mark = record.get("fingerprint")
    if not isinstance(mark, dict):
        return {}
    found = dict(mark.get("hyperparameters") or {})
    found |= {f"{name} (content)": str(v)[:8] for name, v in (mark.get("inputs") or {}).items()}
    return found | ({"code": str(mark["code"])[:8]} if "code" in mark else {})


def _trained(done: dict[str, Any]) -> str:
    """How long a finished training was, and which weights it took."""
    summary = done.get("summary") or {}
    if taken := summary.get("taken"):
        return f"{taken.get('of')} rollouts, that of {taken.get('rollout')} taken"
    for unit in ("rollouts", "steps"):
        if unit in summary:
            return f"{summary[unit]} {unit}"
    return ""


def _size(folder: Path) -> int:
    """Bytes on the disk; a file with two names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(root, name))
            except OSError:
                continue  # removed meanwhile
            seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


def _last_change(folder: Path) -> float:
    times = [folder.stat().st_mtime]
    for path in folder.iterdir():
        try:
            times.append(path.lstat().st_mtime)
        except OSError:
            continue
    return min(max(times), time.time())
