"""What a check before a job found."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What one check found. level: "ok", "warning" or "failure"."""

    level: str
    check: str
    text: str
