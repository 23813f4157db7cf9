"""A resumable stage: where a training program works, who may, and when it is done.

A stage has a target, such as `checkpoints/x_sft_telecom`, and works in a store beside it:

    checkpoints/x_sft_telecom                        -> .store/x_sft_telecom-1a2b3c4d5e6f
    checkpoints/.store/x_sft_telecom-1a2b3c4d5e6f/   stage.json, the trainer's files, done.json
    checkpoints/.store/x_sft_telecom.lock            one trainer a target at a time

The target becomes a link to the store when the stage is done. Snakemake deletes targets when a job
starts and when it fails: that removes the link, never the store, so a killed training resumes. The
store's name holds a fingerprint of all that decides the weights: another learning rate trains in
another store, and going back to the old one finds its finished store at once.

    with Stage(target, fingerprint=fingerprint({"model": model}, {"lr": lr}), settings={}) as stage:
        if not stage.finished:
            ...train in stage.folder, saving often; leave the loop when stage.stop_requested...
            if not stage.stop_requested:
                stage.finish({"steps": 380})

Left out on purpose: what a checkpoint is, how it is loaded and pruned (the trainers know), and
removing old stores (a person decides: stores.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from tau2_agent import locks
from tau2_agent.errors import PipelineError
from tau2_agent.files import DONE_FILE, DiskFull, is_disk_full, write_json

STAGE_FILE = "stage.json"
STORE = ".store"  # the folder of stores, beside the targets
CARD = "README.md"  # written anew when the model has been evaluated
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # SLURM sends one of them before it kills


class StageError(PipelineError):
    """A stage that cannot begin or was left half-way; the message says what to do."""


class Diverged(PipelineError):
    """A training whose loss or weights are no numbers any more; says where and what to lower."""

    def __init__(self, target: Path | str, step: int, what: str) -> None:
        super().__init__(
            f"{target}: diverged at step {step} ({what}). Lower the learning rate; the new value "
            "trains in a store of its own"
        )


class Stage:
    """One training stage, held by one program at a time; see the module's text.

    target: what becomes a link to the finished store.
    fingerprint: JSON values that decide the weights; see fingerprint.py.
    settings: JSON values that may change and resume the same store, such as how many rollouts.
        A finished store with other settings counts as unfinished; what has been trained beyond a
        smaller number is the trainer's to judge (`set_aside` starts anew).

    Attributes: `folder` (the store), `finished`, `summary` (of a finished stage), `stop_requested`
    (SIGTERM or SIGUSR1 came: save and leave), `on_stop` (called with the signal's number from the
    handler, to forward it to a child), `lock_descriptor` (give it to children through `pass_fds`
    when they write to the store: an orphan then keeps others out).
    """

    def __init__(
        self,
        target: Path | str,
        fingerprint: Mapping[str, Any],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.target = Path(target)
        self.fingerprint = _plain(fingerprint)
        self.settings = _plain(settings or {})
        text = json.dumps(self.fingerprint, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.store_root = self.target.parent / STORE
        self.folder = self.store_root / f"{self.target.name}-{digest}"
        self.finished = False
        self.summary: dict[str, Any] = {}
        self.stop_signal: int | None = None
        self.on_stop: Callable[[int], None] | None = None
        self.lock_descriptor = -1
        self._old_handlers: dict[int, Any] = {}

    @property
    def stop_requested(self) -> bool:
        """True once SIGTERM or SIGUSR1 arrived."""
        return self.stop_signal is not None

    def __enter__(self) -> Self:
        if self.target.exists() and not self.target.is_symlink():
            raise StageError(
                f"{self.target} is there and was not made by this program. Move it away first."
            )
        try:
            self.store_root.mkdir(parents=True, exist_ok=True)
            self._lock()
            self._open_store()
        except OSError as error:
            self._unlock()
            if is_disk_full(error):
                raise DiskFull(self.store_root) from error
            raise
        # Only now: a program that waits for the lock dies of SIGTERM as any other does.
        self._catch_signals()
        if self.finished:
            self._link()
            _say(f"{self.target}: already trained with these settings; {self.folder} is reused")
        return self

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Mark the store as done and make the target a link to it. The last thing a trainer does.

        summary: JSON values that later readers want, such as steps, seconds, final loss.
        """
        self.summary = _plain(summary or {})
        done = {
            "id": uuid.uuid4().hex,  # two trainings of one recipe are still two sets of weights
            "target": self.target.name,
            "settings": self.settings,
            "summary": self.summary,
            "files": _top_level_sizes(self.folder),
            "finished": _now(),
        }
        write_json(self.folder / DONE_FILE, done)
        self.finished = True
        self._link()

    def set_aside(self, reason: str) -> Path:
        """Move the store's content away, say why, and begin with an empty store.

        For a state that cannot be resumed. Nothing is deleted. Returns where it went.
        """
        aside = self.folder.with_name(f"{self.folder.name}.aside-{time.strftime('%Y%m%d-%H%M%S')}")
        aside = next(path for path in _numbered(aside) if not path.exists())
        self.folder.rename(aside)
        _say(f"{self.folder}: {reason}; moved to {aside}, starting anew")
        self.finished, self.summary = False, {}
        self._begin_record()
        return aside

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers.clear()
        self._unlock()
        if isinstance(error, Exception) and is_disk_full(error):
            raise DiskFull(self.folder) from error
        if error is not None or self.finished:
            return
        if self.stop_signal is not None:
            name = signal.Signals(self.stop_signal).name
            _say(f"{self.target}: stopped by {name}; run the same command again to resume")
            raise SystemExit(128 + self.stop_signal)
        raise StageError(f"{self.target}: the trainer ended without finishing the stage")

    def _lock(self) -> None:
        """Take the target's lock, waiting for whoever holds it."""
        path = self.store_root / f"{self.target.name}.lock"
        self.lock_descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        holder = os.pread(self.lock_descriptor, 200, 0).decode(errors="replace").strip()
        locks.hold(self.lock_descriptor, self.target, f"trains it ({holder or 'unknown'})")
        holder = f"process {os.getpid()} on {socket.gethostname()} since {_now()}"
        os.ftruncate(self.lock_descriptor, 0)
        os.pwrite(self.lock_descriptor, holder.encode(), 0)

    def _unlock(self) -> None:
        # Closing is enough, and leaves the lock with a child that was given the descriptor.
        if self.lock_descriptor >= 0:
            os.close(self.lock_descriptor)
            self.lock_descriptor = -1

    def _open_store(self) -> None:
        if self.folder.exists():
            record = _read_object(self.folder / STAGE_FILE)
            if record is not None and record.get("fingerprint") != self.fingerprint:
                self.set_aside("it belongs to other hyperparameters")
                return
            done = self._read_done()
            if done is not None:
                self.finished, self.summary = True, done["summary"]
                return
            _say(f"{self.target}: resumes what lies in {self.folder}")
        self._begin_record()

    def _read_done(self) -> dict[str, Any] | None:
        """Return the done marker if it is whole, true of the files, and of these settings."""
        path = self.folder / DONE_FILE
        if not path.exists():
            return None
        done = _read_object(path)
        if done is None or not isinstance(done.get("summary"), dict):
            _say(f"{path}: damaged; the stage counts as unfinished")
        elif any(
            not (self.folder / name).is_file() or (self.folder / name).stat().st_size != size
            for name, size in done.get("files", {}).items()
            if name != CARD
        ):
            _say(f"{path}: files of the store are missing or cut; the stage counts as unfinished")
        elif done.get("settings") == self.settings:
            return done
        # From here on the store changes: no reader may take the old marker for true.
        path.unlink()
        return None

    def _begin_record(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        record = _read_object(self.folder / STAGE_FILE) or {}
        starts = [*record.get("starts", []), {"time": _now(), "settings": self.settings}]
        write_json(
            self.folder / STAGE_FILE,
            {"target": self.target.name, "fingerprint": self.fingerprint, "starts": starts},
        )

    def _link(self) -> None:
        """Make the target a relative link to the store, replacing an older link at once."""
        link = self.store_root / f".{self.target.name}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(self.folder.relative_to(self.target.parent), target_is_directory=True)
        os.replace(link, self.target)

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # Python sets handlers in the main thread only; the caller then has its own
        for number in STOP_SIGNALS:
            self._old_handlers[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.stop_signal is None:
            self.stop_signal = number
            # os.write, since a signal may arrive in the middle of a print
            name = signal.Signals(number).name
            os.write(2, f"{self.target}: {name} received; saving, then leaving\n".encode())
        if self.on_stop is not None:
            self.on_stop(number)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value as JSON reads it back, so that a stored one compares equal."""
    return json.loads(json.dumps(value, sort_keys=True, default=str))


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _top_level_sizes(folder: Path) -> dict[str, int]:
    return {
        path.name: path.stat().st_size
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name not in (DONE_FILE, CARD)
    }


def _numbered(path: Path) -> Any:
    yield path
    for number in range(2, 1000):
        yield path.with_name(f"{path.name}-{number}")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
