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

from tau2_agent.config import stage_flags, without_effect
from tau2_agent.config.backend import Backend
from tau2_agent.config.layers import ConfigError, Layer
from tau2_agent.config.mistakes import origin, report
from tau2_agent.config.resolve import Resolved, resolve
from tau2_agent.config.settings_machine import Resources, Tracking
from tau2_agent.config.task_splits import gated_splits, learnt_from, sampled_split
from tau2_agent.config.user_options import is_folder

Config = Mapping[str, Any]
Reads = Callable[[Config], Any]

PLAIN = ""  # the name of the run without overrides
RESERVED = {
    "base",
    "sft",
    "rejection",
    "rl",
    "plain",
}  # folders of results/, stages, a word in the table


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
        if "runs" in (values or {}):
            raise ConfigError(
                f"{place}: runs.{name}.runs: a run has no runs of its own; put them beside it"
            )
        layer = (f"{place}: runs.{name}", values or {})
        try:
            settings[name] = resolve([*layers, layer], presets, choose_backend)
            report(without_effect.faults([layer], [settings[name].config]), [layer])
        except ConfigError as error:  # whatever is wrong is right without the run's values
            raise ConfigError(
                "\n".join(
                    line if line.startswith(layer[0]) else f"{layer[0]}: {line}"
                    for line in str(error).splitlines()
                )
            ) from None
    report(without_effect.faults(layers, [one.config for one in settings.values()]), layers)
    runs: dict[str, Run] = {}
    first: dict[str, str] = {}  # what a stage reads -> the run that makes it
    for name, one in settings.items():
        owners = {}
        for stage in _stages(one.config):
            made = f"{stage}: {_read(stage, one.config)}"
            owners[stage] = first.setdefault(made, name)
        runs[name] = Run(name, one, owners)
    return runs


def _stages(config: Config) -> list[str]:
    """The stages that a run has, in the order of the data."""
    sampled = config["rejection_sampling"]["samples_per_task"] > 0
    serve = config["user"]["serve"]
    downloaded = bool(serve) and not is_folder(serve)
    return [
        stage
        for stage in READS
        if (sampled or not stage.startswith("rejection")) and (downloaded or stage != "user model")
    ]


# --- what each stage reads, as its rule does: programs, options, earlier files --------------------


def _read(stage: str, config: Config) -> str:
    """Everything that a stage reads, as text to compare."""
    # Where and how a run works makes no other run.
    machine = {"resources": Resources().model_dump(), "tracking": Tracking().model_dump()}
    return json.dumps(READS[stage]({**config, **machine}))


def _traces(config: Config) -> list[Any]:
    foreign = config["traces"]["teacher"] in ("file", "hub")
    counted = config["traces"]["max_length"]  # in tokens of the model, which then is no demo
    return [
        stage_flags.traces(config, tokenizer="MODEL"),
        None if foreign else config["tasks"]["sft"],
        _served(config, "traces"),
        _base(config) if counted else None,
    ]


def _leaks(config: Config) -> list[Any]:
    return [_traces(config), learnt_from(config), config["tasks"]["in_sample"]]


def _served(config: Config, stage: str) -> str:
    return stage_flags.user_server(config, stage, "MODEL", "LOG")


def _base(config: Config) -> list[Any]:
    made_here = config["model"]["source"] == "demo"
    return [
        config["model"]["name"],
        config["backend"],
        stage_flags.base_model(config, "TRACES"),
        _traces(config) if made_here else None,
        stage_flags.conversion(config).flags if config["backend"] == "slime" else None,
    ]


def _sft(config: Config) -> list[Any]:
    return [stage_flags.sft(config), _base(config), _traces(config), config["tasks"]["held_out"]]


def _rejection(config: Config) -> list[Any]:
    if "rejection" not in _stages(config):
        return _sft(config)
    section = config["rejection_sampling"]
    return [
        stage_flags.rejection_sampling(config),
        stage_flags.rejection_sft(config),
        sampled_split(config),
        _served(config, "rejection_sampling"),
        section["teacher_traces"],
        section["start_from"],
        _sft(config),
    ]


def _rl(config: Config) -> list[Any]:
    return [
        stage_flags.grpo(config),
        _rejection(config),
        _leaks(config),
        config["tasks"]["grpo"],
        gated_splits(config),
        _served(config, "grpo"),
    ]


def _results(config: Config, trained: list[Any]) -> list[Any]:
    """What the evaluation of a model reads. trained: what its training does."""
    return [
        stage_flags.evaluation(config),
        trained,
        _leaks(config),
        _served(config, "evaluation"),
    ]


READS: dict[str, Reads] = {
    "user model": stage_flags.user_model,
    "traces": _traces,
    "leaks": _leaks,
    "base": _base,
    "sft": _sft,
    "rejection": _rejection,
    "rl": _rl,
    "base results": lambda config: _results(config, _base(config)),
    "sft results": lambda config: _results(config, _sft(config)),
    "rejection results": lambda config: _results(config, _rejection(config)),
}


def _check_name(name: Any, place: str) -> None:
    if name in RESERVED or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name)):
        raise ConfigError(
            f"{place}: runs: {name!r} cannot be the name of a run: letters, digits and _, a "
            f"letter first, and none of {', '.join(sorted(RESERVED))}"
        )
