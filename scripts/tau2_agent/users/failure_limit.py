"""Stops a job in which too many episodes fail for the sake of the user, or of the policy's server.

A score over the few episodes that a bad provider let through would be no score. Left out: what
counts as a failure (llm_user.py), and how often an episode is tried (the programs).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection
from typing import Protocol

from tau2_agent.rollout.trajectory import EndReason, JobStop

FEWEST = 20  # episodes before a share says anything


class Ended(Protocol):
    """What counts of an episode: a trajectory or a row."""

    end: EndReason
    failure: str
    detail: str


class FailureShare:
    """Counts episodes after their last attempt. `kinds`: failures by kind.

    most: share of failures above which the job stops. ends: what is a failure. whose: the failing
    side, and setting: what raises the share, for the message. `window`: how many of the last
    episodes count, for a training of hours; None for all.
    """

    def __init__(
        self,
        most: float,
        ends: Collection[EndReason] = (EndReason.USER_ERROR,),
        whose: str = "the user simulator",
        setting: str = "user.max_failure_share",
    ) -> None:
        self.most, self.ends, self.whose, self.setting = most, ends, whose, setting
        self.kinds: Counter[str] = Counter()
        self.window: int | None = None
        self._failed: deque[bool] = deque()
        self._last = ""

    def counted(self, episodes: int) -> None:
        """Add episodes of an earlier part of the job, which did not fail."""
        self._failed.extend([False] * episodes)

    def count(self, episode: Ended) -> None:
        """Count an episode. Raises JobStop when the share is passed."""
        failed = episode.end in self.ends
        self._failed.append(failed)
        while self.window is not None and len(self._failed) > self.window:
            self._failed.popleft()
        if failed:
            self.kinds[episode.failure or "failed"] += 1
            self._last = episode.detail
        episodes, failures = len(self._failed), sum(self._failed)
        if episodes >= FEWEST and failures > self.most * episodes:
            kinds = ", ".join(f"{kind}: {count}" for kind, count in self.kinds.most_common())
            raise JobStop(
                f"{failures} of {episodes} episodes failed because of {self.whose} ({kinds}), more "
                f"than the share of {self.most:g} ({self.setting}). The last one: {self._last}. "
                "What is done is kept: mend the cause, or raise the share, and run the same "
                "command again"
            )
