"""Files that are either whole or absent, and what identifies their content.

Writers put the text beside its place and rename it there, so that a reader or a killed program
never sees half a file. `content_hash` tells two inputs apart without reading tens of gigabytes.
Not here: stores and resuming (training/resumable.py), and the typed rows of results
(records/episode_row.py).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tau2_agent.errors import PipelineError, causes

# Text is hashed whole, as are binary files up to this size; above it, by evenly spread blocks.
WHOLE_BYTES = 8 * 2**20
BLOCK_BYTES = 2**18
BLOCKS = 16

# What training/resumable.py writes last into a store; its id names the weights.
DONE_FILE = "done.json"

DISK_FULL_CODES = {errno.ENOSPC, errno.EDQUOT}
DISK_FULL_TEXTS = (
    "No space left on device",
    "Disk quota exceeded",
    "PytorchStreamWriter failed writing",  # torch.save hides the system's error behind these two
    ". unexpected pos ",
)


class DiskFull(PipelineError):
    """A disk or a quota is full: says which, and what to do."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            f"{path}: no space left on this disk (or quota). Free some space and run the same "
            "command again: it resumes, and finished work is kept"
        )


class JsonLineError(PipelineError):
    """A line of a JSON-lines file that is no JSON: names the file, the line and the remedy."""


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` at once (temporary file beside it, then rename)."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    # mkstemp would make a private file, and to ask for the umask is to change it for all threads
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is an error, since readers choke on it."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path | str, rows: Iterable[Any]) -> None:
    """Write one JSON value a line, atomically."""
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    write_text(path, "".join(lines))


def read_jsonl(path: Path | str) -> Iterator[Any]:
    """Yield the value of each line; a line cut in half raises JsonLineError with its number."""
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                yield json.loads(line.decode("utf-8"))
            except ValueError as error:  # UnicodeError is one
                raise JsonLineError(
                    f"{path}, line {number}: not valid JSON ({getattr(error, 'msg', error)}); the "
                    "file was cut or edited. Delete it and run again: it is made anew."
                ) from None


def read_object(path: Path | str, needed: bool = False) -> dict[str, Any]:
    """The JSON object that a file holds; {} where there is none.

    needed: raises JsonLineError, or FileNotFoundError, instead.
    """
    try:
        value = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        if needed and isinstance(error, OSError):
            raise
        value = None
    if needed and not isinstance(value, dict):
        raise JsonLineError(
            f"{path} holds no JSON object. Delete it and run again: it is made anew."
        )
    return value if isinstance(value, dict) else {}


def content_hash(path: Path | str) -> str:
    """Return a sha256 (hex) of a file's or a folder's content, cheap for large weights.

    A finished store (training/resumable.py) is its done marker, which holds a run id of its own,
    and the files that the marker lists: what else lies there comes and goes. Any other folder:
    names, sizes and contents of its files, hidden ones left out (Snakemake leaves a time stamp
    there). Text counts whole; binary files above 8 MiB, which are weights, by 16 evenly spread
    blocks of 256 KiB: two trainings of one architecture differ in every block. Raises
    FileNotFoundError.
    """
    path = Path(path)
    digest = hashlib.sha256()
    if path.is_dir():
        files = _finished_files(path) or sorted(_visible_files(path))
        for file in files:
            digest.update(f"{file.relative_to(path)}\0".encode())
            _update(digest, file)
    else:
        _update(digest, path)
    return digest.hexdigest()


def is_disk_full(error: BaseException) -> bool:
    """Tell whether `error`, or one it came from, says that a disk or a quota is full.

    Libraries hide it: safetensors and torch raise their own types with the system's text, and
    concurrent tasks raise groups.
    """
    return any(_says_disk_full(cause) for cause in causes(error))


def disk_full_place(error: BaseException) -> str:
    """Return the file that a full disk kept from being written, "." if the error does not say."""
    names = (getattr(cause, "filename", None) for cause in causes(error))
    return next((str(name) for name in names if name), ".")


def _says_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in DISK_FULL_CODES:
        return True
    return any(text in str(error) for text in DISK_FULL_TEXTS)


def _finished_files(folder: Path) -> list[Path]:
    done = folder / DONE_FILE
    if not done.is_file():
        return []
    listed = read_object(done).get("files")
    names = sorted(listed) if isinstance(listed, dict) else []
    return [done, *(folder / name for name in names if (folder / name).is_file())]


def _visible_files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith("."):
                yield Path(root, name)


def _update(digest: Any, file: Path) -> None:
    size = file.stat().st_size
    digest.update(f"{size}\0".encode())
    with open(file, "rb") as stream:
        if size <= WHOLE_BYTES or b"\0" not in stream.read(BLOCK_BYTES):
            stream.seek(0)
            while block := stream.read(WHOLE_BYTES):
                digest.update(block)
            return
        for block in range(BLOCKS):
            stream.seek(block * (size - BLOCK_BYTES) // (BLOCKS - 1))
            digest.update(stream.read(BLOCK_BYTES))
