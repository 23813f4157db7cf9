"""The validation curve of a training: a line each time that its policy played the same tasks.

validation.jsonl lies in the store, beside rollouts.jsonl, in one format for both backends. The
tasks are of `extra_dev`, are not trained on, and are played greedily. Elsewhere: playing them
(evaluation/validation.py).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ValidationError

from tau2_agent.errors import PipelineError
from tau2_agent.files import write_text

VALIDATION = "validation.jsonl"


class Validation(BaseModel):
    """One validation.

    rollout: how many rollouts had been trained; 0 is the model that the training began with. tasks:
    played, one episode each; excluded: of them, those that the infrastructure ended three times:
    they are in no average. pass_at_1, avg_reward, avg_partial_score: as in an evaluation's summary,
    None when every task was excluded. by_issue: of the tasks that count, issue -> (solved, played):
    one issue may be forgotten while the mean rises. ends: how many episodes ended how. settings: a
    digest of what was played and how; only rows with the same one compare.
    """

    rollout: int
    tasks: int
    excluded: int = 0
    pass_at_1: float | None
    avg_reward: float | None
    avg_partial_score: float | None
    by_issue: dict[str, tuple[int, int]] = {}
    ends: dict[str, int] = {}
    seconds: float
    settings: str = ""

    def line(self) -> str:
        """What there is to say of it, in one line."""
        if self.pass_at_1 is None:
            scores = "no episode counted"
        else:
            of_each = [f"{issue} {solved}/{of}" for issue, (solved, of) in self.by_issue.items()]
            issues = f" ({', '.join(of_each)})" if of_each else ""
            scores = f"pass@1 {self.pass_at_1:.3f}{issues}  partial {self.avg_partial_score:.3f}"
        lost = f"  excluded {self.excluded}" if self.excluded else ""
        return f"{scores}  {self.tasks} tasks{lost}  ends {self.ends}  {self.seconds:.1f} s"


def is_due(rollout: int, every: int, rollouts: int) -> bool:
    """Whether the policy is validated after so many rollouts: every so many, and at the end."""
    return every > 0 and (rollout % every == 0 or rollout == rollouts)


def read_validation(folder: Path | str) -> list[Validation]:
    """The rows of a training's folder; none without the file, nor of a line that a kill cut."""
    path = Path(folder) / VALIDATION
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Validation.model_validate_json(line))
        except ValidationError:
            continue
    return found


def append_validation(folder: Path | str, row: Validation) -> None:
    """Add a row, in one write. A full disk raises OSError."""
    line = row.model_dump_json().encode() + b"\n"
    handle = os.open(Path(folder) / VALIDATION, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        if os.write(handle, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(Path(folder) / VALIDATION))
    finally:
        os.close(handle)


def cut_validation(folder: Path | str, rollout: int) -> list[Validation]:
    """Drop the rows after `rollout`, which will be trained and validated again; return the rest."""
    if not (path := Path(folder) / VALIDATION).exists():
        return []
    kept = [row for row in read_validation(folder) if row.rollout <= rollout]
    write_text(path, "".join(f"{row.model_dump_json()}\n" for row in kept))
    return kept


def best_of(rows: Iterable[Validation]) -> Validation | None:
    """The row of the highest pass@1, the earliest of several; None if there is nothing to choose.

    Only trained weights are chosen among, so rollout 0 is not one of them; and only rows with the
    settings of the last one, since others were played otherwise.
    """
    rows = list(rows)
    own = [
        row
        for row in rows
        if row.settings == rows[-1].settings and row.rollout > 0 and row.pass_at_1 is not None
    ]
    return max(own, key=lambda row: (row.pass_at_1, -row.rollout), default=None)


def chosen_rollout(folder: Path | str, checkpoint: str, rollouts: int) -> int:
    """The rollout whose weights become the stage's output: `rollouts`, or the best on validation.

    checkpoint: last or best. Raises PipelineError when nothing was validated.
    """
    if checkpoint == "last":
        return rollouts
    if (best := best_of(read_validation(folder))) is None:
        raise PipelineError(
            f"{folder}: no validation counted, so that no checkpoint is the best. Take "
            "grpo.checkpoint last; its weights are there"
        )
    return best.rollout


class WeightsGone(PipelineError):
    """The best checkpoint on validation is no longer in the store."""

    def __init__(self, folder: Path | str, rollout: int) -> None:
        super().__init__(
            f"{folder}: the best on validation was rollout {rollout}, whose weights are not there. "
            "Take grpo.checkpoint last, or move the folder away to train anew"
        )


def choice(folder: Path | str, checkpoint: str, rollout: int, rollouts: int) -> dict[str, object]:
    """What the summary of a stage says of the weights that it took."""
    rows = read_validation(folder)
    told: dict[str, object] = {"checkpoint": checkpoint, "rollout": rollout, "of": rollouts}
    own = [row for row in rows if row.settings == rows[-1].settings]
    taken = next((row for row in own if row.rollout == rollout), None)
    if taken is not None:
        told |= {"validated": len(own), "tasks": taken.tasks, "pass_at_1": taken.pass_at_1}
        begun = next((row for row in own if row.rollout == 0), None)
        told |= {"pass_at_1_at_first": begun.pass_at_1} if begun else {}
    return told
