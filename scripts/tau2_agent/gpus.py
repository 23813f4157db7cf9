"""Which NVIDIA GPUs this process may use, and which of them another job of this user has.

Jobs on one machine, such as the runs of a sweep, each take GPUs of their own: nothing else tells
them apart, since every Ray and every server counts from 0. Looks at device files only: no GPU is
touched.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
_taken: dict[Path, int] = {}  # lock file -> its descriptor, held until this process ends


def visible_gpus(devices: Path = Path("/dev")) -> int:
    """Return how many NVIDIA GPUs a job started from here may use.

    CUDA_VISIBLE_DEVICES counts if it is set: empty or -1 hides all of them.
    """
    present = sum(bool(re.fullmatch(r"nvidia\d+", path.name)) for path in devices.glob("nvidia*"))
    if not present:
        present = _listed_gpus()  # no device files: Windows' Linux subsystem
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return present
    names = [name.strip() for name in chosen.split(",")]
    count = next((n for n, name in enumerate(names) if name in ("", "-1")), len(names))
    return min(count, present)


def visible_names() -> list[str]:
    """The GPUs of `visible_gpus` by the names that CUDA knows: numbers, or what is listed."""
    count = visible_gpus()
    listed = os.environ.get(VISIBLE)
    names = [str(number) for number in range(count)] if listed is None else listed.split(",")
    return [name.strip() for name in names][:count]


def take_gpus(count: int, folder: Path | None = None) -> list[str]:
    """Take `count` of the visible GPUs until this process ends, and hide the others from it.

    Those that no other job of this user has come first. When there are too few of them the rest is
    shared, and a line says so. Children see the same GPUs. folder: of the lock files.
    """
    names = visible_names()
    place = folder or Path(tempfile.gettempdir()) / f"tau2-telecom-gpus-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    mine: list[str] = []
    for name in names:
        if len(mine) < count and _lock(place / f"{name.replace('/', '_')}.lock"):
            mine.append(name)
    if shared := [name for name in names if name not in mine][: count - len(mine)]:
        print(
            f"warning: GPU {', '.join(shared)}: another job of yours uses it; sharing it",
            flush=True,
        )
    chosen = [name for name in names if name in {*mine, *shared}]
    if chosen and len(chosen) < len(names):
        os.environ[VISIBLE] = ",".join(chosen)
    return chosen


def _lock(path: Path) -> bool:
    if path in _taken:
        return True
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    except OSError:  # a file system without locks: as before there were any
        pass
    _taken[path] = handle
    return True


def _listed_gpus() -> int:
    if shutil.which("nvidia-smi") is None:
        return 0
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
