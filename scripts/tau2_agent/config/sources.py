"""Where models and data sets come from, and what goes with that.

A preset's commit, positions, chat template and name are those of the preset's model, and a price is
that of one model behind an API. Who names another one above says nothing of these, and must not be
given the other's.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tau2_agent.config.layers import Layer
from tau2_agent.config.mistakes import Fault

# Key that names a model or a data set -> the keys beside it that describe this one.
DESCRIBE = {
    "model.source": ("name", "revision", "chat_template", "max_positions"),
    "traces.source": ("revision",),
    "traces.model": ("price",),
    "user.serve.source": ("revision",),
    "user.model": ("price",),
}
HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)  # anything else is a path


def with_own_descriptions(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers, lowest first, without what lower ones say of a model or a data set that a
    higher one replaces.

    The trained model gets a name from its new source, unless it is given one beside it.
    """
    done: list[Layer] = []
    for layer, given in layers:
        values = copy.deepcopy(dict(given))
        for named, keys in DESCRIBE.items():
            section, _, key = named.rpartition(".")
            here = _section(values, section)
            below = [_section(lower, section) for _, lower in done]
            old = next((one[key] for one in reversed(below) if key in one), None)
            new = here.get(key, old)
            if old is None or new == old or not isinstance(new, str):
                continue
            for one in below:
                for describing in keys:
                    one.pop(describing, None)
            if named == "model.source" and (name := name_of(new)):
                here.setdefault("name", name)
        done.append((layer, values))
    return done


def name_of(source: str) -> str:
    """A model's name for files, from a hub id or the path of a folder; "" if it gives none."""
    last = Path(source).absolute().name if source else ""
    return re.sub(r"[^A-Za-z0-9.]+", "-", last).strip("-.").lower()


def faults(config: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the sources of models in a complete configuration."""
    if config["model"]["source"] != "demo":
        yield from _source("model", config["model"], "train the same model")
        yield from _written_over(config["model"])
    if serve := config["user"]["serve"]:
        yield from _source("user.serve", serve, "meet the same user")


def _source(key: str, model: Mapping[str, Any], alike: str) -> Iterator[Fault]:
    """A model is a folder here or a pinned hub id. alike: what two runs do by the pin."""
    source = model["source"]
    if Path(source).is_dir():
        return
    if not HUB_ID.fullmatch(source):
        yield Fault(
            f"{key}.source",
            f"{key}.source {source} is no folder here, and no hub id (ORGANISATION/NAME) either; "
            "write the folder's path in full, or as seen from the folder of config.yaml",
        )
    elif not model["revision"]:
        yield Fault(
            f"{key}.source",
            f"{key}.source {source} is no folder here, so it is a hub id; pin {key}.revision to a "
            f"commit hash, so that two runs {alike}",
        )


def _written_over(model: Mapping[str, Any]) -> Iterator[Fault]:
    """A stage deletes what is in its place: that must not be the model one begins with."""
    place, name = Path(model["source"]).absolute(), re.escape(model["name"])
    made = rf"models/{name}(\+\w+)?(_torch_dist)?|checkpoints/{name}(\+\w+)?_[a-z]+_telecom"
    if place.is_dir() and re.fullmatch(made, os.path.relpath(place)):
        yield Fault(
            "model.name",
            f"model.name {model['name']} would have a stage write over model.source "
            f"{model['source']}; give it another name, or move that folder",
        )


def _section(values: Mapping[str, Any], section: str) -> dict[str, Any]:
    found: Any = values
    for key in section.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else {}
