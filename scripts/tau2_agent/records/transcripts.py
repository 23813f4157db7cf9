"""Whole conversations, one line an episode: messages, checks, changes of state, tokens.

The file is FILE.transcripts.jsonl.gz beside the rows of the episodes. Each line is a gzip member
of its own, written at once: the file can be read while it grows (`zcat`), and a kill costs at most
the line that it cut. An episode that is played again is written again; its last line counts.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from tau2_agent.errors import first_problem
from tau2_agent.records.episode_row import SOLVED, Fingerprint, ResultsError
from tau2_agent.records.replayed import Change, Check
from tau2_agent.rollout.trajectory import INFRASTRUCTURE_ENDS, EndReason

_CHUNK = 2**16  # bytes read at once


class Said(BaseModel):
    """A message. Role "assistant" is the agent; a tool's message answers `requestor`'s call."""

    model_config = ConfigDict(extra="forbid")

    role: str
    content: str | None = None
    tool_calls: list[dict[str, Any]] = []  # id, name, arguments
    requestor: str | None = None
    call_id: str | None = None
    name: str | None = None  # of the tool
    error: bool = False
    time: float = 0.0  # seconds since the first message


class Turn(NamedTuple):
    """Tokens [start, end) that the agent sampled at once, and the message that they became."""

    message: int | None  # None: cut by the end of the context, no message
    start: int
    end: int


class Tokens(BaseModel):
    """The token stream after the first prompt, which has `prompt_length` tokens and is not kept.

    All lists are aligned. mask: 1 on sampled tokens, which are those that training has its loss on.
    log_probs: natural logarithms, 0 where the mask is 0. pieces: the text; of a character that
    several tokens make, it is the last one's.
    """

    model_config = ConfigDict(extra="forbid")

    prompt_length: int
    ids: list[int]
    mask: list[int]
    log_probs: list[float]
    pieces: list[str]
    agent_messages: list[int] = []  # places of the messages that the model wrote

    def turns(self) -> list[Turn]:
        """The sampled turns in order. Context always lies between two of them."""
        turns, places = [], iter(self.agent_messages)
        start = None
        for place, on in enumerate([*self.mask, 0]):
            if on and start is None:
                start = place
            elif not on and start is not None:
                turns.append(Turn(next(places, None), start, place))
                start = None
        return turns


class Transcript(BaseModel):
    """One episode. `reward` and `partial` are None when it does not count."""

    model_config = ConfigDict(extra="forbid")

    task_id: str
    trial: int = 0
    rollout: int | None = None  # of a training, from 0
    sample: int | None = None  # place in the rollout's batch
    fingerprint: Fingerprint = ""
    started: str = ""
    seconds: float = 0.0
    end: EndReason
    user_end: str = ""
    detail: str = ""
    failure: str = ""
    reward: float | None = None
    partial: float | None = None
    shaped: float | None = None
    steps: int = 0
    agent_turns: int = 0
    attempts: int = 1
    counters: dict[str, int] = {}
    user_report: dict[str, Any] = {}
    messages: list[Said] = []
    checks: list[Check] = []
    changes: list[Change] = []
    tokens: Tokens | None = None

    @property
    def excluded(self) -> bool:
        """Not the agent's doing: in no average."""
        return self.end in INFRASTRUCTURE_ENDS

    @property
    def solved(self) -> bool:
        """tau2's success: reward 1."""
        return self.reward is not None and self.reward >= SOLVED


def transcripts_path(results: Path | str) -> Path:
    """The transcripts beside a file of results, or beside the rows of a training's rollouts."""
    return Path(results).with_suffix(".transcripts.jsonl.gz")


class TranscriptFile:
    """Appends transcripts. One process at a time: whoever holds the rows' lock writes it.

    Opening it drops a line that a kill cut in half; lines of another fingerprint are set
    aside as FILE.<fingerprint>, and come back when that one does. Attributes: `keys`, (task id,
    trial) of the lines.
    """

    def __init__(self, path: Path | str, fingerprint: str = "") -> None:
        self.path, self.fingerprint = Path(path), fingerprint
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.keys: set[tuple[str, int]] = set()
        whole = 0
        if other := self._other():
            os.replace(self.path, self._aside(other))
        if not self.path.exists() and self._aside(fingerprint).exists():
            os.replace(self._aside(fingerprint), self.path)
        for line, end in _members(self.path):
            head = _Head.model_validate_json(line)
            self.keys.add((head.task_id, head.trial))
            whole = end
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.ftruncate(self._handle, whole)

    def append(self, transcript: Transcript) -> None:
        """Add a line, in one write. A full disk raises OSError."""
        transcript = transcript.model_copy(update={"fingerprint": self.fingerprint})
        line = transcript.model_dump_json(exclude_defaults=True).encode() + b"\n"
        member = gzip.compress(line, mtime=0)
        if os.write(self._handle, member) != len(member):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.keys.add((transcript.task_id, transcript.trial))

    def close(self) -> None:
        """Write what the system still holds back."""
        os.fsync(self._handle)
        os.close(self._handle)

    def __enter__(self) -> TranscriptFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _other(self) -> str | None:
        """The fingerprint that the file is of, if it is not this one."""
        for line, _ in _members(self.path):
            fingerprint = _Head.model_validate_json(line).fingerprint
            return fingerprint if fingerprint != self.fingerprint else None
        return None

    def _aside(self, fingerprint: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{fingerprint[:12]}")


class _Head(BaseModel):
    """What of a line tells it from others."""

    task_id: str
    trial: int = 0
    fingerprint: Fingerprint = ""


def read_transcripts(path: Path | str, tokens: bool = True) -> list[Transcript]:
    """Read a file of transcripts, the last line of each episode, in the order of first lines.

    A file that a kill cut is read up to the cut. tokens: False leaves them out. Raises
    ResultsError for a line that is no transcript, FileNotFoundError.
    """
    found: dict[tuple[Any, ...], Transcript] = {}
    if not Path(path).exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    for number, (line, _) in enumerate(_members(Path(path)), start=1):
        try:
            transcript = Transcript.model_validate_json(line)
        except ValidationError as error:
            raise ResultsError(
                f"{path}, line {number}: no transcript ({first_problem(error)}). "
                "Delete the file; its conversations are lost, the results are not."
            ) from None
        if not tokens:
            transcript.tokens = None
        # A training that resumes plays its last rollouts again, and may draw other tasks.
        sampled = transcript.rollout is not None
        key = (
            (transcript.rollout, transcript.sample)
            if sampled
            else (transcript.task_id, transcript.trial)
        )
        found[key] = transcript
    return list(found.values())


def _members(path: Path) -> Iterator[tuple[bytes, int]]:
    """(line, end in the file) of each whole gzip member; stops at one that is cut or damaged."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
        member, line, end = zlib.decompressobj(wbits=31), b"", 0
        while chunk := stream.read(_CHUNK):
            while chunk:
                try:
                    line += member.decompress(chunk)
                except zlib.error:
                    return
                chunk = member.unused_data
                if member.eof:
                    end = stream.tell() - len(chunk)
                    yield line, end
                    member, line = zlib.decompressobj(wbits=31), b""
