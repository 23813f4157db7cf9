"""What the workflow does: the settings in force, checked, from all places that configure.

    default < preset < config.yaml < --configfile < --config

A preset may extend another one. All mistakes are reported at once, each with the file, the key, the
value and what to do. Importing tau2 is left out on purpose: this runs at each start of Snakemake.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from tau2_agent.config.backend import Backend, choose
from tau2_agent.config.checks import cross_checks
from tau2_agent.config.fields import Section, find, leaves
from tau2_agent.config.layers import COMMAND_LINE, Layer, choice, merge, preset_layers, texts_read
from tau2_agent.config.mistakes import DEFAULT, Fault, origin, report, reworded
from tau2_agent.config.settings import Settings
from tau2_agent.config.sources import with_own_descriptions

DEFAULT_PRESETS = {"cpu": "demo", "slime": "qwen3-4b"}
SECTIONS = [
    key
    for key, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
]
PRESET_WORD = "preset"  # as a value: what the preset says, whatever a lower layer says


class Resolved(NamedTuple):
    """A complete configuration: every key of `Settings` is there.

    origins: dotted key -> where its value comes from: a file, --config, or "default".
    """

    config: dict[str, Any]
    backend: Backend
    preset: str
    origins: dict[str, str]


def resolve(
    layers: Sequence[Layer],
    presets: Path,
    choose_backend: Callable[[str, str], Backend] = choose,
) -> Resolved:
    """Lay `layers` (lowest first) over the preset that they name, fill in defaults, and check.

    presets: their folder. choose_backend: (wanted, wanted by whom) -> Backend. Raises ConfigError.
    """
    layers = _left_to_the_preset([(name, _tidied(name, values)) for name, values in layers])
    wanted, preset = (_start(key, layers) for key in ("backend", "preset"))
    by_backend = preset == "auto"
    if by_backend:
        backend = choose_backend(wanted, "backend in the configuration")
        preset = DEFAULT_PRESETS[backend.name]
        recipe = preset_layers(preset, presets)
    else:
        if not (presets / f"{preset}.yaml").exists():
            known = sorted(path.stem for path in presets.glob("*.yaml"))
            text = f"preset {preset!r} is not there; {choice(preset, known)}"
            report([Fault("preset", text)], layers)
        recipe = preset_layers(preset, presets)
        by_preset = any("backend" in values for _, values in recipe)
        if wanted == "auto" and by_preset:
            backend = choose_backend(_start("backend", recipe), f"preset {preset}")
        else:
            backend = choose_backend(wanted, "backend in the configuration")

    chosen = {"backend": backend.reason}
    if by_backend:
        chosen["preset"] = f"the preset of backend {backend.name}"
    layers = with_own_descriptions(
        [*((name, _tidied(name, values)) for name, values in recipe), *layers]
    )
    values = merge({section: {} for section in SECTIONS}, *(values for _, values in layers))
    values |= {"preset": preset, "backend": backend.name}
    try:
        config = Settings.model_validate(values).model_dump()
    except ValidationError as error:
        faults = [reworded(one) for one in error.errors()]
        report(sorted(faults), layers)
        raise
    report(cross_checks(config), layers)
    origins = {key: origin(key, layers, whole=True) or DEFAULT for key, _ in leaves(Settings)}
    return Resolved(config, backend, preset, origins | chosen)


def _start(key: str, layers: Sequence[Layer]) -> str:
    """The value of a key that is needed before the preset is known."""
    field = Settings.model_fields[key]
    value = merge(*(values for _, values in layers)).get(key, field.default)
    try:
        return TypeAdapter(field.rebuild_annotation()).validate_python(value)
    except ValidationError as error:
        faults = [reworded({**one, "loc": (key,)}) for one in error.errors()]
        report(faults, layers)
        raise


def _tidied(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop sections whose keys are all commented out, which YAML reads as null."""
    read = texts_read(values) if name == COMMAND_LINE else values
    sections = (*SECTIONS, "runs")
    kept = {key: v for key, v in read.items() if not (v is None and key in sections)}
    return copy.deepcopy(kept)


def _left_to_the_preset(layers: Sequence[Layer]) -> list[Layer]:
    """Take out the keys whose value is `preset`, and what lower layers say of them."""
    done: list[tuple[str, dict[str, Any]]] = []
    for name, values in layers:
        done.append((name, dict(values)))
        for key in [key for key in _keys(values) if find(Settings, key.split("."))]:
            *path, last = key.split(".")
            if _at(values, path).get(last) == PRESET_WORD:
                for _, below in done:
                    _at(below, path).pop(last, None)
    return done


def _keys(values: Mapping[str, Any], above: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        found += _keys(value, f"{above}{key}.") if isinstance(value, Mapping) else [f"{above}{key}"]
    return found


def _at(values: Any, path: Sequence[str]) -> dict[str, Any]:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}
