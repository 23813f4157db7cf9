"""One job at a time on a machine starts SGLang engines under slime.

slime gives its engines the first ports from 15000 on that are free, and they listen on them half a
minute later: two jobs that begin together take the same ones, and both fail. slime has no option
for another first port, so a job waits here until the engines of the one before it listen.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

# A name in the kernel, which has the reach of a port (the network namespace: every user, every
# container of the host's network) and ends with its process, even with kill -9. Whoever takes it
# without starting engines could block all others: its process is asked for, and looked at.
NAME = "\0tau2-telecom/engine-start"
LIMIT_S = 3600.0  # a start takes three minutes: a dozen jobs may be before this one


class EngineStart:
    """This process's turn to start engines: `wait`, and `over` once they listen."""

    def __init__(self, name: str = NAME) -> None:
        self.name = name
        self._held: socket.socket | None = None

    def wait(self, given_up: Callable[[], bool], limit: float = LIMIT_S) -> None:
        """Return when no other job is starting engines, `given_up` says so, or after `limit` s."""
        began, told, strangers = time.monotonic(), False, 0
        while not self._take() and not given_up():
            holder = _holder(self.name)
            strangers += holder is not None and not _starts_engines(holder)
            if strangers > 1:  # the first may have been one of ours that does not listen yet
                print(
                    f"warning: process {holder} holds the name {self.name[1:]!r} and is no "
                    "training of this project; not waiting for it",
                    flush=True,
                )
                return
            if not told:
                print("another job on this machine is starting its engines; waiting", flush=True)
                told = True
            if time.monotonic() - began > limit:
                print(f"waited {limit:.0f} s for other jobs; starting all the same", flush=True)
                return
            time.sleep(0.5)

    def over(self) -> None:
        """Let the next job start; more calls do nothing."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _take(self) -> bool:
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(self.name)
            held.listen(1)  # so that the kernel tells others who we are
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        self._held = held
        return True


def _holder(name: str) -> int | None:
    """The process that listens under a name: 0 for one that is hidden or does not listen.

    None when nobody has the name any more.
    """
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
        except BlockingIOError:
            return None  # others ask, too: look again
        except ConnectionRefusedError:
            return None if name not in _names() else 0
        credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[:4], sys.byteorder)


def _names() -> set[str]:
    """Abstract names that are taken in this network namespace."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as lines:
        words = (line.split()[-1] for line in lines)
        return {"\0" + word[1:] for word in words if word.startswith("@")}


def _starts_engines(process: int) -> bool:
    """Whether a process is a training of this project, as far as this user may see."""
    if process == os.getpid():
        return True
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
    return b"train_grpo_slime" in command
