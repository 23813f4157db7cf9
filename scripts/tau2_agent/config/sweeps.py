"""Several runs of one workflow side by side, such as seeds or learning rates.

`runs` in the configuration gives each a name and values over those of the plain run. A stage of a
run is taken from the first run, the plain one before all, in which everything that the stage reads
is the same: so two runs never write one file, and what is the same is made once.

Left out on purpose: file names (stage_files.py) and rules (rules/runs.smk).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tau2_agent.config.backend import Backend
from tau2_agent.config.layers import ConfigError, Layer
from tau2_agent.config.mistakes import origin
from tau2_agent.config.resolve import Resolved, resolve

PLAIN = ""  # the name of the run without overrides
RESERVED = {
    "base",
    "sft",
    "rejection",
    "rl",
    "plain",
}  # folders of results/, stages, a word in the table

# What each stage reads: sections of the configuration, and stages that come before it. Whole
# sections, so that a new key counts without a change here; at worst something is made twice. Of
# another stage's section, the keys alone that are read.
READS: dict[str, tuple[str, ...]] = {
    "traces": ("prompt", "tasks", "traces", "user"),
    "base": ("model", "backend", "slime"),
    "sft": ("stage base", "stage traces", "sft", "seed"),
    "rejection": (
        *("stage sft", "rejection_sampling", "reward.weights"),
        *("grpo.max_new_tokens", "grpo.context_length", "grpo.max_steps"),
    ),
    "rl": ("stage rejection", "grpo", "reward"),
    "results": ("prompt", "seed", "user", "reward", "evaluation", "stage traces"),
    "base results": ("stage base", "stage results"),
    "sft results": ("stage sft", "stage results"),
    "rejection results": ("stage rejection", "stage results"),
}


@dataclass(frozen=True)
class Run:
    """One run: its name ("" for the plain one), its settings, and whose stages it uses.

    owners: stage -> name of the run that makes it; without stages that are left out.
    """

    name: str
    settings: Resolved
    owners: Mapping[str, str] = field(default_factory=dict)

    def owns(self, stage: str) -> bool:
        """Tell whether this run makes that stage itself."""
        return self.owners.get(stage) == self.name


def resolve_runs(
    layers: Sequence[Layer],
    presets: Path,
    choose_backend: Callable[[str, str], Backend],
) -> dict[str, Run]:
    """Return all runs by name, the plain one first. Raises ConfigError, as `resolve` does."""
    plain = resolve(layers, presets, choose_backend)
    settings = {PLAIN: plain}
    for name, values in plain.config["runs"].items():
        place = origin(f"runs.{name}", layers) or f"presets/{plain.preset}.yaml"
        _check_name(name, place)
        layer = (f"{place}: runs.{name}", values or {})
        settings[name] = resolve([*layers, layer], presets, choose_backend)
    runs: dict[str, Run] = {}
    for name, one in settings.items():
        owners = dict.fromkeys(_stages(one.config), name)
        for earlier in reversed(runs.values()):
            for stage in owners:
                if _read(stage, one.config) == _read(stage, earlier.settings.config):
                    owners[stage] = earlier.owners[stage]
        runs[name] = Run(name, one, owners)
    return runs


def _stages(config: Mapping[str, Any]) -> list[str]:
    """The stages of READS that a run has."""
    sampled = config["rejection_sampling"]["samples_per_task"] > 0
    return [stage for stage in READS if sampled or not stage.startswith("rejection")]


def _read(stage: str, config: Mapping[str, Any]) -> str:
    """Everything that a stage reads, as text to compare."""
    if stage == "rejection" and stage not in _stages(config):
        return _read("sft", config)
    parts = []
    for key in READS[stage]:
        earlier = key.removeprefix("stage ")
        section, _, inner = key.partition(".")
        if earlier != key:
            parts.append(_read(earlier, config))
        else:
            parts.append(config[section][inner] if inner else config[section])
    if stage == "base" and config["model"]["source"] == "demo":
        # made here: its tokenizer from the traces, its weights from the seed
        parts += [_read("traces", config), config["seed"]]
    if stage == "traces" and config["traces"].get("max_length"):
        parts.append(config["model"])  # whose tokens are counted
    return json.dumps(parts, sort_keys=True)


def _check_name(name: Any, place: str) -> None:
    if name in RESERVED or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name)):
        raise ConfigError(
            f"{place}: runs: {name!r} cannot be the name of a run: letters, digits and _, a "
            f"letter first, and none of {', '.join(sorted(RESERVED))}"
        )
