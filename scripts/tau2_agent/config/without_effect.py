"""Keys that somebody set and that nothing reads, since what they are about is switched off.

A stage that was described and not asked for would be left out without a word. Who writes the switch
down has decided, whatever else stands there. What presets and defaults say does not count, nor does
a key that one of several runs reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tau2_agent.config.layers import Layer
from tau2_agent.config.mistakes import Fault, origin
from tau2_agent.config.settings import RejectionSampling


class Switch(NamedTuple):
    """A key that is 0 or false where something is off. keys: read only where it is on. off: what
    is not done. on: what to write."""

    key: str
    keys: tuple[str, ...]
    off: str
    on: str


SWITCHES = (
    Switch(
        "rejection_sampling.samples_per_task",
        (
            "tasks.rejection_sampling",
            *(f"rejection_sampling.{name}" for name in RejectionSampling.model_fields),
        ),
        "there is no such stage",
        "the episodes that each task has",
    ),
    Switch(
        "grpo.dynamic_sampling",
        ("grpo.max_resampled_groups",),
        "no group is played anew",
        "true",
    ),
    Switch(
        "grpo.validation_every",
        ("grpo.validation_tasks",),
        "nothing is validated",
        "the rollouts between two validations",
    ),
)


def faults(layers: Sequence[Layer], configs: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    """Yield what was set for nothing.

    layers: what somebody wrote. configs: complete ones, of all runs that it holds for.
    """
    for key, keys, off, on in SWITCHES:
        section, _, name = key.partition(".")
        if origin(key, layers, whole=True) or any(config[section][name] for config in configs):
            continue
        now = str(configs[0][section][name]).lower()
        if given := [one for one in keys if origin(one, layers, whole=True)]:
            yield Fault(
                given[0],
                f"{' and '.join(given)} {'are' if given[1:] else 'is'} set for nothing: {key} is "
                f"{now}, so {off}; set it to {on}, or write {now} there if that is meant",
            )
