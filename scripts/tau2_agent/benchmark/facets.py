"""What results are broken down by: issue, number of faults, persona, and fix or transfer.

A task is a "transfer" task when its reward counts the transfer to a human (`ACTION` in its reward
basis: a locked SIM card, an ended contract). Nothing can be fixed there, so an agent that transfers
every user solves all of them. Every other task is a "fix" task.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from tau2.data_model.tasks import RewardType

from tau2_agent.benchmark.tasks import faults, get_task

_PERSONA = re.compile(r"\[PERSONA:([^\[\]]+)\]$")


class Facets(NamedTuple):
    """Of one task. `faults` are sorted; `kind` is "fix" or "transfer"."""

    issue: str
    faults: tuple[str, ...]
    persona: str
    kind: str


# name -> value of a task, as results and tables call it
FACETS: dict[str, Callable[[Facets], str]] = {
    "kind": lambda facets: facets.kind,
    "issue": lambda facets: facets.issue,
    "faults": lambda facets: str(len(facets.faults)),
    "persona": lambda facets: facets.persona,
}


def facets(task_id: str) -> Facets:
    """The facets of a task. Raises UnknownTask."""
    issue, names = faults(task_id)
    basis = get_task(task_id).evaluation_criteria.reward_basis
    persona = _PERSONA.search(task_id)
    return Facets(
        issue=issue,
        faults=tuple(sorted(names)),
        persona=persona[1] if persona else "None",
        kind="transfer" if RewardType.ACTION in basis else "fix",
    )
