"""What is said of a model or a data set goes with its source.

A preset's commit, positions, chat template and name are those of the preset's model. Who names
another source above it says nothing of these, and must not be given the other one's.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tau2_agent.config.layers import Layer

# Section with a `source` -> the keys that describe it.
DESCRIBE = {
    "model": ("name", "revision", "chat_template", "max_positions"),
    "traces": ("revision",),
    "user.serve": ("revision",),
}


def with_own_descriptions(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers, lowest first, without what lower ones say of a source that a higher one
    replaces. A model gets a name from its new source, unless it is given one beside it."""
    done: list[Layer] = []
    for layer, given in layers:
        values = copy.deepcopy(dict(given))
        for section, keys in DESCRIBE.items():
            here = _section(values, section)
            below = [_section(lower, section) for _, lower in done]
            old = next((one["source"] for one in reversed(below) if "source" in one), None)
            new = here.get("source", old)
            if old is None or new == old or not isinstance(new, str):
                continue
            for one in below:
                for key in keys:
                    one.pop(key, None)
            if section == "model" and (name := name_of(new)):
                here.setdefault("name", name)
        done.append((layer, values))
    return done


def name_of(source: str) -> str:
    """A model's name for files, from a hub id or the path of a folder; "" if it gives none."""
    last = Path(source).absolute().name if source else ""
    return re.sub(r"[^A-Za-z0-9.]+", "-", last).strip("-.").lower()


def _section(values: Mapping[str, Any], section: str) -> dict[str, Any]:
    found: Any = values
    for key in section.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else {}
