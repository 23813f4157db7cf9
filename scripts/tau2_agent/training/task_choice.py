"""Which tasks a rollout of GRPO plays, by the seed, its number and the episodes before it alone.

So a training that resumes chooses as it would have without the interruption. Curricula:

    none          passes through all tasks in random order (task_order.py)
    success_rate  tasks first that the policy solves now and then: their groups have a spread

With `success_rate` the tasks with the largest p (1 - p), the variance of a reward of 0 or 1, are
played, and one place in EXPLORE goes to the task that has waited longest, so that none is
forgotten. p is drawn from what is known of the task's fault combination (Thompson sampling), so
that much is tried of which little is known:

    p  ~ Beta(2 q + sum_own w r, 2 (1 - q) + sum_own w (1 - r))     own: episodes of these faults
    q  = (2 m + sum_other s w r) / (2 + sum_other s w)              other: of other faults
    m  = (1 + sum_all w r) / (2 + sum_all w)
    w  = 0.5 ^ (rollouts since the episode / HALF_LIFE)             the policy changes
    s  = (common faults / all faults of the two tasks)^2            the issue counts as a fault

r: tau2's own reward. A combination not yet played is so judged by those that share faults with it.
With any curriculum a task that takes the place of a dropped group is drawn so, on the right side of
it: its mean p is lower where all episodes solved the task, higher where none did.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tau2_agent.benchmark.tasks import faults
from tau2_agent.training.task_order import require_enough, task_order

EXPLORE = 8  # one place of so many
HALF_LIFE = 10.0  # rollouts
PSEUDO = 2.0  # episodes that a prior counts for
ALL_SOLVED, ALL_FAILED = "all_solved", "all_failed"


class Played(NamedTuple):
    """A finished episode. reward: tau2's own."""

    rollout: int
    task_id: str
    reward: float


def played(rows: Iterable[Mapping[str, Any]], before: int) -> list[Played]:
    """The finished episodes of rollouts before `before`, from the rows of rollouts.jsonl.

    Those of dropped groups are among them; they say as much of a task as any.
    """
    found = []
    for row in rows:
        rollout = row["rollout"] if "rollout" in row else row["step"]
        if rollout < before and row["reward"] is not None and row.get("status") != "aborted":
            found.append(Played(rollout, row["task_id"], row["reward"]))
    return found


class Rates(NamedTuple):
    """Parameters of the Beta distributions of all tasks' success rates; shapes (tasks,)."""

    solved: np.ndarray
    failed: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Means, shape (tasks,)."""
        return self.solved / (self.solved + self.failed)


class TaskChoice:
    """Chooses among `task_ids`.

    prompts: groups that a rollout trains on. Raises InputError for fewer tasks than that.
    """

    def __init__(
        self, task_ids: Sequence[str], *, prompts: int, seed: int, curriculum: str = "none"
    ) -> None:
        require_enough(len(task_ids), prompts)
        self.task_ids = list(task_ids)
        self.prompts, self.seed, self.curriculum = prompts, seed, curriculum
        self._place = {task_id: place for place, task_id in enumerate(self.task_ids)}
        marks = [_marks(task_id) for task_id in self.task_ids]
        names = {name: column for column, name in enumerate(sorted(set().union(*marks)))}
        self._marks = np.zeros((len(marks), len(names)))
        for place, of_task in enumerate(marks):
            self._marks[place, [names[name] for name in of_task]] = 1

    def first(self, rollout: int, before: Sequence[Played]) -> list[str]:
        """The tasks that a rollout begins with, after the episodes `before` it."""
        if self.curriculum == "none":
            order = task_order(
                self.task_ids, rollouts=rollout + 1, prompts=self.prompts, seed=self.seed
            )
            return order[-self.prompts :]
        draw = self._random(rollout, "first")
        waits = sum((rollout * self.prompts + i) % EXPLORE == 0 for i in range(self.prompts))
        chosen = self._longest_waiting(waits, before, draw)
        candidates = self._free(chosen)
        order = self._in_between(candidates, self.success_rates(rollout, before), draw)
        return [*chosen, *order[: self.prompts - len(chosen)]]

    def another(
        self,
        rollout: int,
        number: int,
        known: Sequence[Played],
        beside: Collection[str],
        replaced: str | None = None,
        why: str = "",
    ) -> str:
        """One more task for a rollout.

        number: of the group within the rollout. known: all finished episodes, this rollout's too.
        beside: tasks that the rollout has had. replaced, why: the dropped group's task and reason.
        """
        rates = self.success_rates(rollout, known)
        candidates = self._free(beside)
        if replaced is not None and why in (ALL_SOLVED, ALL_FAILED):
            mean = rates.mean
            bound = mean[self._place[replaced]]
            side = mean < bound if why == ALL_SOLVED else mean > bound
            candidates = [place for place in candidates if side[place]] or candidates
        return self._in_between(candidates, rates, self._random(rollout, number))[0]

    def success_rates(self, rollout: int, known: Sequence[Played]) -> Rates:
        """What is known of each task's p at a rollout; see the module's text."""
        weight, solved = np.zeros(len(self.task_ids)), np.zeros(len(self.task_ids))
        for episode in known:
            place = self._place.get(episode.task_id)
            if place is not None:
                decay = 0.5 ** ((rollout - episode.rollout) / HALF_LIFE)
                weight[place] += decay
                solved[place] += decay * episode.reward
        mean = (1.0 + solved.sum()) / (2.0 + weight.sum())
        seen = weight.nonzero()[0]
        common = self._marks @ self._marks[seen].T
        sizes = self._marks.sum(1)
        alike = (common / (sizes[:, None] + sizes[seen][None, :] - common)) ** 2
        own = alike == 1.0  # the same faults, maybe another persona
        others = np.where(own, 0.0, alike)
        prior = (PSEUDO * mean + others @ solved[seen]) / (PSEUDO + others @ weight[seen])
        good, every = own @ solved[seen], own @ weight[seen]
        return Rates(PSEUDO * prior + good, PSEUDO * (1 - prior) + every - good)

    def _free(self, taken: Collection[str]) -> list[int]:
        """Places of the tasks that are not taken; of all when none is left."""
        taken = set(taken)
        free = [place for place, task_id in enumerate(self.task_ids) if task_id not in taken]
        return free or list(range(len(self.task_ids)))

    def _in_between(self, candidates: list[int], rates: Rates, draw: random.Random) -> list[str]:
        """The candidates, those with the largest p (1 - p) first, for a draw of p."""
        drawn = {
            place: draw.betavariate(rates.solved[place], rates.failed[place])
            for place in candidates
        }
        order = sorted(candidates, key=lambda place: abs(drawn[place] - 0.5))
        return [self.task_ids[place] for place in order]

    def _longest_waiting(
        self, count: int, before: Sequence[Played], draw: random.Random
    ) -> list[str]:
        last: dict[str, int] = {}
        for episode in before:
            last[episode.task_id] = max(episode.rollout, last.get(episode.task_id, -1))
        shuffled = draw.sample(self.task_ids, len(self.task_ids))
        return sorted(shuffled, key=lambda task_id: last.get(task_id, -1))[:count]

    def _random(self, rollout: int, number: int | str) -> random.Random:
        return random.Random(f"{self.seed}/{rollout}/{number}")


def _marks(task_id: str) -> frozenset[str]:
    """What two tasks are compared by: their faults and their issue."""
    issue, names = faults(task_id)
    return names | {f"issue {issue}"}
