"""Which user simulator plays which episode: one, or several by ratio.

A mixture is written {scripted: 0.5, llm: 0.5} in the configuration and scripted=0.5,llm=0.5 on a
command line. Who plays is drawn from the seed, the task and the sample, so a job that resumes draws
as it did before. Imports nothing heavy: the workflow reads mixtures at each start.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

from tau2_agent.errors import PipelineError

API_BASE = "TAU2_USER_API_BASE"  # set by with_user_model.py; wins over the configuration
SERVED = "TAU2_USER_SERVED"  # set there, too: the model's content and its server's arguments
SIMULATORS = ("scripted", "llm")  # a test compares them with users.USERS


class MixError(PipelineError):
    """A mixture that cannot be: says what is wrong and what is right."""


def parse_mix(value: str | Mapping[str, float]) -> dict[str, float]:
    """Return simulator -> share, by name, summing to 1. Raises MixError."""
    if isinstance(value, str):
        shares = dict(_pair(part) for part in value.split(","))
        if len(shares) < value.count(",") + 1:
            raise MixError(f"{value!r} names a simulator twice")
    else:
        shares = dict(value)
    if not shares:
        raise MixError(f"a mixture needs at least one of: {', '.join(SIMULATORS)}")
    for name, share in shares.items():
        if isinstance(share, str):  # Snakemake's --config passes texts
            shares[name] = share = _number(share)
        if name not in SIMULATORS:
            raise MixError(
                f"user simulator {name!r} does not exist; choose from: {', '.join(SIMULATORS)}"
            )
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not number or not math.isfinite(share) or share <= 0:
            raise MixError(f"the share of {name} is {share!r}; it must be a number above 0")
    total = sum(shares.values())
    return {name: float(shares[name]) / total for name in sorted(shares)}


def mix_text(value: str | Mapping[str, float]) -> str:
    """Return a mixture as command lines and results name it: a name, or NAME=SHARE,NAME=SHARE."""
    shares = parse_mix(value)
    if len(shares) == 1:
        return next(iter(shares))
    return ",".join(f"{name}={share:.6g}" for name, share in shares.items())


def draw(shares: Mapping[str, float], seed: int, task_id: str, sample: str) -> str:
    """Return who plays: the same for the same seed, task and sample, whatever was played before."""
    digest = hashlib.sha256(f"{seed}/{task_id}/{sample}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for name in sorted(shares):
        place -= shares[name]
        if place < 0:
            return name
    return max(shares)  # rounding


def _pair(part: str) -> tuple[str, float]:
    name, given, share = part.strip().partition("=")
    return name.strip(), _number(share) if given else 1.0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise MixError(f"{text!r}: the share must be a number, as in llm=0.5") from None
