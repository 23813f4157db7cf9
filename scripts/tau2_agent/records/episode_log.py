"""The file to which a job appends a row as each episode ends, so that it can resume later.

Left out: what the rows mean (episode_row.py), and when an evaluation counts as finished
(evaluation/results.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tau2_agent import locks
from tau2_agent.errors import first_problem
from tau2_agent.records.episode_row import EpisodeRow, ResultsError


class EpisodeLog:
    """Rows of one fingerprint: one checkpoint with one set of settings.

    Opening the file keeps the rows of the same fingerprint and drops a last line that a kill cut in
    half. Rows of another one are set aside as FILE.<fingerprint>, and come back when that one
    does. One process at a time: another one waits, and finds the rows. Use it as a context manager.

    row_type: EpisodeRow, or a kind of it. durable: a row is on the disk when `append` returns, so
    that not even a power cut loses what was paid for. made_by: fields of a row that does not say
    them itself, such as the commit at which it is played.
    """

    def __init__(
        self,
        path: Path | str,
        fingerprint: str,
        *,
        row_type: type[EpisodeRow] = EpisodeRow,
        durable: bool = False,
        made_by: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self.fingerprint, self.durable = Path(path), fingerprint, durable
        self.made_by = made_by or {}
        self.rows: dict[tuple[str, int], EpisodeRow] = {}  # the last row of each task and trial
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = self._open()
        try:
            while True:
                rows = read_rows(self.path, row_type)
                if other := next(
                    (row.fingerprint for row in rows if row.fingerprint != fingerprint), None
                ):
                    os.replace(self.path, self._aside(other))
                elif not rows and self._aside(fingerprint).exists():
                    os.replace(self._aside(fingerprint), self.path)
                else:
                    break
                self._reopen()  # another process may have the new file first: look again
            os.ftruncate(self._handle, self.path.read_bytes().rfind(b"\n") + 1)
        except BaseException:
            with contextlib.suppress(OSError):  # closed already, when the new one did not open
                os.close(self._handle)
            raise
        self.rows = {(row.task_id, row.trial): row for row in rows}

    def append(self, row: EpisodeRow) -> None:
        """Add a row, in one write. A full disk raises OSError."""
        new = {k: value for k, value in self.made_by.items() if k not in row.model_fields_set}
        row = row.model_copy(update={**new, "fingerprint": self.fingerprint})
        line = row.model_dump_json().encode() + b"\n"
        if os.write(self._handle, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        if self.durable:
            os.fsync(self._handle)
        self.rows[row.task_id, row.trial] = row

    def missing(
        self,
        task_ids: Iterable[str],
        trials: int = 1,
        known: Container[tuple[str, int]] | None = None,
    ) -> list[tuple[str, int]]:
        """Tasks and trials still to be played: without a row, or with an excluded one.

        known: those with a transcript, where there are transcripts; the others are played again.
        """
        wanted = [(task_id, trial) for trial in range(trials) for task_id in task_ids]
        return [
            key
            for key in wanted
            if key not in self.rows
            or self.rows[key].excluded
            or (known is not None and key not in known)
        ]

    def solved(self, task_ids: Iterable[str], trials: int = 1) -> int:
        """How many of these tasks and trials have a row that is solved."""
        wanted = {(task_id, trial) for trial in range(trials) for task_id in task_ids}
        return sum(row.solved for key, row in self.rows.items() if key in wanted)

    def close(self) -> None:
        """Write what the system still holds back, and let others have the file."""
        os.fsync(self._handle)
        os.close(self._handle)

    def __enter__(self) -> EpisodeLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _aside(self, fingerprint: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{fingerprint[:12]}")

    def _reopen(self) -> None:
        self.close()
        self._handle = self._open()

    def _open(self) -> int:
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                locks.hold(handle, self.path, "writes it")
                if self._is(handle):
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def _is(self, handle: int) -> bool:
        """Whether the open file is still the one of this name: another job may set it aside."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(handle), os.stat(self.path))
        return False


def read_rows(path: Path | str, row_type: type[EpisodeRow] = EpisodeRow) -> list[EpisodeRow]:
    """Read rows in the order of the file, without a last line that has no end.

    Any other line that is no row raises ResultsError with its number.
    """
    rows = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            rows.append(row_type.model_validate_json(line))
        except ValidationError as error:
            raise ResultsError(
                f"{path}, line {number}: no row of this job ({first_problem(error)}). "
                "Delete the line, or the file to begin anew."
            ) from None
    return rows
