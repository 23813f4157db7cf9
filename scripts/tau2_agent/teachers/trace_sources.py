"""The files that traces come in: JSON lines, a JSON array, Parquet, or what tau2 writes.

tau2 writes one results.json with all simulations, or a results.json with the run's description and
beside it a folder simulations/ with a file each. Which of these a file is its content says, not its
name. Left out: what a conversation looks like (trace_forms.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tau2_agent.errors import InputError

PATTERNS = ("*.jsonl", "*.parquet", "*.json")
RESULTS, SIMULATIONS = "results.json", "simulations"


class Entry(NamedTuple):
    """One conversation of a source.

    kind, number: what it is in its file ("line", "entry", "row", "simulation") and which, from 1
    on. info: of the tau2 run that it belongs to.
    """

    file: str
    kind: str
    number: int
    content: bytes | dict[str, Any]
    info: dict[str, Any] | None = None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.file}, {self.kind} {self.number}"


def files_of(source: Path) -> dict[str, Path]:
    """The files of a source by name, in order. Raises InputError."""
    if source.is_file():
        beside = source.parent / SIMULATIONS
        if source.suffix == ".json" and beside.is_dir() and _described(source):
            return {source.name: source} | _inside(source.parent, beside.glob("*.json"))
        return {source.name: source}
    if not source.is_dir():
        raise InputError(
            f"traces.source: {source} is not there; name a JSON-lines file, a results.json of "
            "tau2, or a folder with some"
        )
    # One form of the same data is enough.
    found = next((found for p in PATTERNS if (found := list(source.rglob(p)))), [])
    if not found:
        raise InputError(f"traces.source: {source} has no {' and no '.join(PATTERNS)}")
    return _inside(source, found)


def entries(name: str, path: Path) -> Iterator[Entry]:
    """The conversations of a file. Raises InputError for a file that cannot be read as a whole."""
    if path.suffix == ".parquet":
        yield from _rows(name, path)
        return
    whole = _whole(name, path)
    if whole is None:
        yield from _lines(name, path)
    elif isinstance(whole, list):
        for number, content in enumerate(whole, start=1):
            yield Entry(name, "entry", number, content)
    elif isinstance(whole.get("simulations"), list):
        info = whole["info"] if isinstance(whole.get("info"), dict) else {}
        if whole["simulations"] or not (path.parent / SIMULATIONS).is_dir():
            for number, content in enumerate(whole["simulations"], start=1):
                yield Entry(name, "simulation", number, content, info)
    elif "messages" not in whole and "simulation_index" in whole:
        _check_index(path, whole["simulation_index"])
    elif path.parent.name == SIMULATIONS and (path.parent.parent / RESULTS).is_file():
        yield Entry(name, "simulation", 1, whole, _info(path.parent.parent / RESULTS))
    elif "messages" in whole or not _is_description(whole):
        yield Entry(name, "entry", 1, whole)


def form_of(kinds: set[str]) -> str:
    """What a file was read as, for people."""
    names = {
        "line": "JSON lines",
        "entry": "a JSON array or object",
        "row": "Parquet",
        "simulation": "tau2's simulations",
    }
    return " and ".join(sorted(names[kind] for kind in kinds))


def _inside(folder: Path, found: Any) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(found)}


def _lines(name: str, path: Path) -> Iterator[Entry]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield Entry(name, "line", number, line)


def _rows(name: str, path: Path) -> Iterator[Entry]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        raise InputError(f"{path} cannot be read as Parquet ({error})") from None
    for number, row in enumerate(rows, start=1):
        yield Entry(name, "row", number, _without_nulls(row))


def _without_nulls(value: Any) -> Any:
    """A column of structs has a null for every argument that only another call has."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _whole(name: str, path: Path) -> list[Any] | dict[str, Any] | None:
    """The content of a file that is one JSON value; None for JSON lines. Raises InputError."""
    first, more = _first_line(path)
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        if not more or first.replace(b" ", b"")[:2] not in (b"[", b"{", b"[{", b'{"'):
            return None
    else:
        if more:
            return None  # a value a line
        if isinstance(value, dict):
            return value if "simulations" in value or "simulation_index" in value else None
        return value if isinstance(value, list) and any(map(_is_dict, value)) else None
    try:
        value = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and first.strip() == b"{":
            raise InputError(
                f"traces.source: {name} has objects of several lines one after another; write one "
                "object a line, or all of them as a JSON array"
            ) from None
        if first.strip() == b"[":
            raise InputError(
                f"traces.source: {name} begins as a JSON array, but line {error.lineno} is no part "
                f"of one ({error.msg}): cut short? Write it again, or one object a line"
            ) from None
        return None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list | dict) else None


def _first_line(path: Path) -> tuple[bytes, bool]:
    """The first line that is not empty, and whether another one follows."""
    first = b""
    with path.open("rb") as stream:
        for line in stream:
            if line.strip() and first:
                return first, True
            first = first or line.removeprefix(b"\xef\xbb\xbf").strip()
    return first, False


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_description(value: dict[str, Any]) -> bool:
    return _is_dict(value.get("info")) and "tasks" in value


def _described(path: Path) -> bool:
    value = _read(path)
    return _is_description(value) and not value.get("simulations")


def _info(path: Path) -> dict[str, Any]:
    info = _read(path).get("info")
    return info if isinstance(info, dict) else {}


def _check_index(path: Path, index: Any) -> None:
    """A run of which simulations were lost is not taken for the whole. Raises InputError."""
    wanted = {str(entry.get("id")) for entry in index or [] if isinstance(entry, dict)}
    there = {file.stem for file in (path.parent / SIMULATIONS).glob("*.json")}
    if missing := sorted(wanted - there):
        raise InputError(
            f"traces.source: {path} lists {len(wanted)} simulations, {len(missing)} of which are "
            f"not in {SIMULATIONS}/ ({missing[0]}{', …' if missing[1:] else ''}); copy the folder "
            "again"
        )
