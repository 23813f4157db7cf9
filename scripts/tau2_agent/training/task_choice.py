"""Which tasks a rollout of GRPO plays, by the seed, its number and the episodes before it alone.

So a training that resumes chooses as it would have without the interruption. Curricula:

    none          passes through all tasks in random order (task_order.py)
    success_rate  tasks first that the policy solves now and then: their groups have a spread

With `success_rate` a task's chance is in proportion to (p (1 - p))^SHARPNESS, p (1 - p) being the
variance of a reward of 0 or 1; and one place in EXPLORE goes to the task that has waited longest,
so that none is forgotten. p is the current success rate of a task:

    p         = (PSEUDO q + sum_own w r) / (PSEUDO + sum_own w)    own: episodes of the same faults
    logit(q)  = b_0 + sum of b_f over the task's faults f, its issue counting as one of them
    w         = 0.5 ^ (rollouts since the episode / HALF_LIFE)     the policy changes

r: tau2's own reward. b: ridge logistic regression on all episodes, weighted by w; each b_f has the
precision RIDGE around 0, b_0 a weak one around the mean reward. So a fault combination that was not
played yet, as most of extra_train, is judged by the faults that it is made of. With any curriculum
a task that takes the place of a dropped group is drawn so, on the right side of it: its p is lower
where all episodes solved the task, higher where none did.

With issues `balanced` the places of a rollout are shared over the issues of the split as evenly as
they go, and within an issue tasks are chosen as above. A dropped group is then
replaced by a task of its issue while there is one that the rollout has not had. `proportional`
chooses among all tasks, so that an issue has places as it has tasks.

The constants are those that predicted the next rollout's rewards best in recorded trainings, in the
middle of what did about as well (docs/rollouts.md).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from tau2_agent.benchmark.selection import even_shares
from tau2_agent.benchmark.tasks import faults
from tau2_agent.training.task_order import in_passes, require_enough, task_order

EXPLORE = 8  # one place of so many
SHARPNESS = 4
HALF_LIFE = 10.0  # rollouts
PSEUDO = 4.0  # episodes that q counts for
RIDGE, WEAK = (
    6.0,
    0.1,
)  # precisions: 1 / variance
NEWTON_STEPS = 8
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


class TaskChoice:
    """Chooses among `task_ids`.

    prompts: groups that a rollout trains on. Raises InputError for fewer tasks than that.
    """

    def __init__(
        self, task_ids: Sequence[str], *, prompts: int, seed: int, curriculum: str, issues: str
    ) -> None:
        require_enough(len(task_ids), prompts)
        self.task_ids = list(task_ids)
        self.prompts, self.seed = prompts, seed
        self.curriculum, self.issues = curriculum, issues
        by_issue: dict[str, list[str]] = {}
        for task_id in self.task_ids:
            by_issue.setdefault(faults(task_id)[0], []).append(task_id)
        apart = issues == "balanced" and len(by_issue) > 1
        self._shared = dict(sorted(by_issue.items())) if apart else {"": self.task_ids}
        self._place = {task_id: place for place, task_id in enumerate(self.task_ids)}
        marks = [_marks(task_id) for task_id in self.task_ids]
        alike = {marked: number for number, marked in enumerate(dict.fromkeys(marks))}
        self._combination = np.array([alike[marked] for marked in marks])
        names = {name: column for column, name in enumerate(sorted(set().union(*marks)), 1)}
        self._marks = np.zeros((len(marks), len(names) + 1))
        self._marks[:, 0] = 1  # of b_0
        for place, of_task in enumerate(marks):
            self._marks[place, [names[name] for name in of_task]] = 1

    def first(self, rollout: int, before: Sequence[Played]) -> list[str]:
        """The tasks that a rollout begins with, after the episodes `before` it."""
        sizes = [len(tasks) for tasks in self._shared.values()]
        shares = [even_shares(sizes, self.prompts, number) for number in range(rollout + 1)]
        chosen = []
        rates = None if self.curriculum == "none" else self.success_rates(rollout, before)
        for issue, of_issue in zip(self._shared, zip(*shares, strict=True), strict=True):
            if rates is None:
                chosen.append(self._passing(issue, of_issue))
            else:
                chosen.append(self._first_of(issue, of_issue, before, rates))
        # issues in turn: slime may make several optimizer steps of a rollout's groups
        return [task for turn in zip_longest(*chosen) for task in turn if task is not None]

    def _passing(self, issue: str, shares: Sequence[int]) -> list[str]:
        """What is drawn of an issue without a curriculum. shares: up to this rollout's.

        Two mechanisms, since trainings that resume must go on with the tasks that they began with:
        `task_order` draws with PyTorch's generator and drops the rest of a pass, as TRL's sampler
        does, `in_passes` draws with Python's and carries the rest over.
        """
        if issue:
            return in_passes(self._shared[issue], shares, f"{self.seed}/{issue}")
        order = task_order(
            self.task_ids, rollouts=len(shares), prompts=self.prompts, seed=self.seed
        )
        return order[-self.prompts :]

    def _first_of(
        self, issue: str, shares: Sequence[int], before: Sequence[Played], rates: np.ndarray
    ) -> list[str]:
        """What the curriculum takes of an issue. shares: up to this rollout's."""
        draw, places = self._random(len(shares) - 1, f"first{issue}"), sum(shares[:-1])
        waits = sum((places + i) % EXPLORE == 0 for i in range(shares[-1]))
        chosen = self._longest_waiting(self._shared[issue], waits, before, draw)
        order = self._in_between(self._free(chosen, self._shared[issue]), rates, draw)
        return [*chosen, *order[: shares[-1] - len(chosen)]]

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
        candidates = self._free(beside, self._shared[self._issue_of_another(beside, replaced)])
        if replaced is not None and why in (ALL_SOLVED, ALL_FAILED):
            bound = rates[self._place[replaced]]
            side = rates < bound if why == ALL_SOLVED else rates > bound
            candidates = [place for place in candidates if side[place]] or candidates
        return self._in_between(candidates, rates, self._random(rollout, number))[0]

    def success_rates(self, rollout: int, known: Sequence[Played]) -> np.ndarray:
        """p of each task at a rollout; see the module's text. Shape (tasks,), in their order."""
        weight, solved = np.zeros(len(self.task_ids)), np.zeros(len(self.task_ids))
        for episode in known:
            place = self._place.get(episode.task_id)
            if place is not None:
                decay = 0.5 ** ((rollout - episode.rollout) / HALF_LIFE)
                weight[place] += decay
                solved[place] += decay * episode.reward
        own, good = (
            np.bincount(self._combination, values)[self._combination] for values in (weight, solved)
        )
        return (PSEUDO * self._by_faults(weight, solved) + good) / (PSEUDO + own)

    def _by_faults(self, weight: np.ndarray, solved: np.ndarray) -> np.ndarray:
        """q of each task. weight, solved: of the episodes of each task, and of those solved."""
        mean = (1 + solved.sum()) / (2 + weight.sum())
        start = np.zeros(self._marks.shape[1])
        start[0] = np.log(mean / (1 - mean))
        precision = np.diag([WEAK, *[RIDGE] * (len(start) - 1)])
        seen = weight > 0
        marks, weight, solved = self._marks[seen], weight[seen], solved[seen]
        b = start
        for _ in range(NEWTON_STEPS):
            q = _logistic(marks @ b)
            slope = marks.T @ (solved - weight * q) - precision @ (b - start)
            curvature = marks.T @ (marks * (weight * q * (1 - q))[:, None]) + precision
            b = b + np.linalg.solve(curvature, slope)
        return np.clip(_logistic(self._marks @ b), 0.01, 0.99)

    def _issue_of_another(self, beside: Collection[str], replaced: str | None) -> str:
        """The replaced task's issue if it has tasks left, else that which the rollout has least."""
        had = {issue: len(set(tasks) & set(beside)) for issue, tasks in self._shared.items()}
        left = [issue for issue, tasks in self._shared.items() if had[issue] < len(tasks)]
        of_replaced = [issue for issue in left if replaced in self._shared[issue]]
        return min(of_replaced or left or had, key=had.__getitem__)

    def _free(self, taken: Collection[str], tasks: Sequence[str]) -> list[int]:
        """Places of those of `tasks` that are not taken; of all of them when none is left."""
        taken = set(taken)
        free = [self._place[task_id] for task_id in tasks if task_id not in taken]
        return free or [self._place[task_id] for task_id in tasks]

    def _in_between(
        self, candidates: list[int], rates: np.ndarray, draw: random.Random
    ) -> list[str]:
        """The candidates in random order, those of a large p (1 - p) rather first."""
        waits = {
            place: draw.expovariate(float(rates[place] * (1 - rates[place])) ** SHARPNESS)
            for place in candidates
        }
        return [self.task_ids[place] for place in sorted(candidates, key=waits.__getitem__)]

    def _longest_waiting(
        self, tasks: Sequence[str], count: int, before: Sequence[Played], draw: random.Random
    ) -> list[str]:
        last: dict[str, int] = {}
        for episode in before:
            last[episode.task_id] = max(episode.rollout, last.get(episode.task_id, -1))
        shuffled = draw.sample(tasks, len(tasks))
        return sorted(shuffled, key=lambda task_id: last.get(task_id, -1))[:count]

    def _random(self, rollout: int, number: int | str) -> random.Random:
        return random.Random(f"{self.seed}/{rollout}/{number}")


def _logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def _marks(task_id: str) -> frozenset[str]:
    """What two tasks are compared by: their faults and their issue."""
    issue, names = faults(task_id)
    return names | {f"issue {issue}"}
