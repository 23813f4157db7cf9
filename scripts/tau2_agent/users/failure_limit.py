"""Stops a job in which too many episodes fail for the user simulator's sake.

A score over the few episodes that a bad provider let through would be no score. Left out: what
counts as a failure (llm_user.py), and how often an episode is tried (the programs).
"""

from __future__ import annotations

from collections import Counter, deque

from tau2_agent.rollout.trajectory import EndReason, JobStop, Trajectory

FEWEST = 20  # episodes before a share says anything


class FailureShare:
    """Counts episodes after their last attempt. `kinds`: failures of the user by kind.

    most: share of failures above which the job stops. `window`: how many of the last episodes
    count, for a training of hours; None for all.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self.kinds: Counter[str] = Counter()
        self.window: int | None = None
        self._failed: deque[bool] = deque()
        self._last = ""

    def counted(self, episodes: int) -> None:
        """Add episodes of an earlier part of the job, which did not fail."""
        self._failed.extend([False] * episodes)

    def count(self, trajectory: Trajectory) -> None:
        """Count an episode. Raises JobStop when the share is passed."""
        failed = trajectory.end is EndReason.USER_ERROR
        self._failed.append(failed)
        while self.window is not None and len(self._failed) > self.window:
            self._failed.popleft()
        if failed:
            self.kinds[trajectory.failure] += 1
            self._last = trajectory.detail
        episodes, failures = len(self._failed), sum(self._failed)
        if episodes >= FEWEST and failures > self.most * episodes:
            kinds = ", ".join(f"{kind}: {count}" for kind, count in self.kinds.most_common())
            raise JobStop(
                f"{failures} of {episodes} episodes failed because of the user simulator "
                f"({kinds}), more than the share of {self.most:g} (user.max_failure_share). The "
                f"last one: {self._last}. What is done is kept: mend the cause, or raise the "
                "share, and run the same command again"
            )
