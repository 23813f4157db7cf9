"""One job at a time on a machine starts SGLang engines under slime.

slime gives its engines the first ports from 15000 on that are free, and they listen on them half a
minute later: two jobs that begin together take the same ones, and both fail. slime has no option
for another first port, so a job waits here until the engines of the one before it listen.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable

# A name in the kernel, which has the reach of a port (the network namespace: every user, every
# container of the host's network) and ends with its process, even with kill -9.
NAME = "\0tau2-telecom/engine-start"
LIMIT_S = 3600.0  # a start takes three minutes: a dozen jobs may be before this one


class EngineStart:
    """This process's turn to start engines: `wait`, and `over` once they listen."""

    def __init__(self, name: str = NAME) -> None:
        self.name = name
        self._held: socket.socket | None = None

    def wait(self, given_up: Callable[[], bool], limit: float = LIMIT_S) -> None:
        """Return when no other job is starting engines, `given_up` says so, or after `limit` s."""
        began, told = time.monotonic(), False
        while not self._take() and not given_up():
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
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        self._held = held
        return True
