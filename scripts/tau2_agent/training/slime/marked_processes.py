"""What a job started is known by a variable in its environment (`TAU2_JOB`).

Only such processes, of this user and this store, are ever signalled. `ray stop` is never called,
for it stops every Ray on the machine. If a program is killed, the kernel ends its Ray (parent-death
signal), and the next run of the same store sweeps what may be left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

MARKER = "TAU2_JOB"


def marked_processes(marker: str) -> list[int]:
    """Return this user's processes that a job with this marker started, itself not included."""
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if entry.stat().st_uid != os.getuid():
                continue
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # it ended, or it is not ours to read
    return found


def sweep(marker: str, grace_s: float = 10.0) -> list[int]:
    """End what a former job with this marker left running: SIGTERM, then SIGKILL."""
    left = marked_processes(marker)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in marked_processes(marker):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        deadline = time.monotonic() + grace_s
        while marked_processes(marker) and time.monotonic() < deadline:
            time.sleep(0.2)
    return left
