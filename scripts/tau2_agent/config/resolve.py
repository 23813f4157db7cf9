"""What the workflow does, from config.yaml and a preset, checked and reworded for people.

    preset < config.yaml < --configfile < --config

A preset may extend another one. Values are coerced to the type that the schema wants, since YAML
reads `1e-6` as text and the command line passes text. All mistakes are reported at once, each with
the file, the key, the value and what to do. Importing tau2 is left out on purpose: this runs at
each start of Snakemake.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import yaml

from tau2_agent.config.backend import Backend, choose
from tau2_agent.config.checks import Fault, cross_checks
from tau2_agent.errors import PipelineError

DEFAULT_PRESETS = {"cpu": "demo", "slime": "qwen3-4b"}
COMMAND_LINE = "--config"  # the layer of that name has texts for numbers
# Keys of earlier versions, and what to write now.
RENAMED = {
    "model.hidden": "model.hidden_size",
    "grpo.std": "grpo.scale_by_group_std",
    "grpo.kl": "grpo.kl_coef",
    "grpo.clip": "grpo.clip_low",
    "grpo.filter": "grpo.dynamic_sampling",
    "grpo.updates": "grpo.updates_per_rollout",
    "grpo.micro_batch": "grpo.micro_batch_size",
    "slime.memory_share": "slime.sglang_mem_fraction",
    "resources.hours": "resources.time_limit_hours",
}
REMOVED = {"sft.response_length": "it never changed the training"}
TYPE_WORDS = {
    "number": "a number, such as 0.1 or 1.0e-6",
    "integer": "a whole number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list, such as [test]",
    "object": "a section of keys",
    "null": "null",
}

Layer = tuple[str, Mapping[str, Any]]  # where values come from, and the values


class ConfigError(PipelineError):
    """Mistakes in the configuration, one a line, each with its remedy."""


class Settings(NamedTuple):
    """A complete configuration: every key of the schema is there."""

    config: dict[str, Any]
    backend: Backend
    preset: str


def load_schema(path: Path | str) -> dict[str, Any]:
    """Read the schema of config.yaml."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def split_names(schema: Mapping[str, Any]) -> list[str]:
    """Return the valid task splits; the schema is the one place that lists them."""
    return list(schema["$defs"]["split"]["enum"])


def resolve(
    layers: Sequence[Layer],
    schema: Mapping[str, Any],
    presets: Path,
    choose_backend: Callable[[str, str], Backend] = choose,
) -> Settings:
    """Lay `layers` (lowest first) over the preset that they name, fill in defaults, and check.

    choose_backend: (wanted, wanted by whom) -> Backend. Raises ConfigError.
    """
    layers = [(name, _without_empty_sections(values, schema)) for name, values in layers]
    layers = [
        (name, _options_read(values) if name == COMMAND_LINE else values) for name, values in layers
    ]
    config = merge(*(values for _, values in layers))
    preset, wanted = config.get("preset", "auto"), config.get("backend", "auto")
    _check_values({"preset": preset, "backend": wanted}, layers, schema, partial=True)
    if preset == "auto":
        backend = choose_backend(wanted, "backend in the configuration")
        preset = DEFAULT_PRESETS[backend.name]
        recipe = load_preset(preset, presets)
    else:
        recipe = load_preset(preset, presets)
        if wanted == "auto" and "backend" in recipe:
            backend = choose_backend(recipe["backend"], f"preset {preset}")
        else:
            backend = choose_backend(wanted, "backend in the configuration")

    layers = [(f"presets/{preset}.yaml", recipe), *layers]
    config = coerce(merge(*(values for _, values in layers)), schema, schema)
    config |= {"preset": preset, "backend": backend.name}
    fill_defaults(config, schema, schema)
    _check_values(config, layers, schema)
    _raise(cross_checks(config), layers)
    return Settings(config, backend, preset)


def load_preset(name: str, folder: Path, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read presets/NAME.yaml, laid over the preset that it extends. Raises ConfigError."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(f"preset {name!r} is not there; {choice(name, known)}")
    if name in seen:
        raise ConfigError(f"presets extend each other in a circle: {' -> '.join([*seen, name])}")
    values = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    parent = values.pop("extends", None)
    if parent is None:
        return values
    return merge(load_preset(parent, folder, (*seen, name)), values)


def choice(name: str, known: Sequence[str], elsewhere: Sequence[str] = ()) -> str:
    """Return a remedy for a wrong name: the nearest right ones, and all of them."""
    near = [*elsewhere, *difflib.get_close_matches(name, known, n=1, cutoff=0.6)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}Valid: {', '.join(known)}"


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay mappings over each other, later ones on top; lists and values replace."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
                result[key] = merge(result[key], value)
            else:
                result[key] = copy.deepcopy(value)
    return result


def coerce(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Return `value` with texts that are numbers, truth values or null as the schema wants them."""
    schema = _resolved(schema, root)
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        return {key: coerce(item, known.get(key, {}), root) for key, item in value.items()}
    if isinstance(value, list):
        return [coerce(item, schema.get("items", {}), root) for item in value]
    types = _types(schema)
    if isinstance(value, float) and "integer" in types and value.is_integer():
        return int(value)
    if not isinstance(value, str) or not types:
        return value
    text = value.strip()
    if "null" in types and text.lower() in ("null", "none", "~"):
        return None
    if "string" in types:
        return value
    if "boolean" in types and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if {"number", "integer"} & set(types):
        try:
            number = float(text)
        except ValueError:
            return value
        if "number" in types:
            return number
        if number.is_integer():
            return int(number)
    return value


def _options_read(values: Mapping[str, Any]) -> dict[str, Any]:
    """Read the texts of `options` as YAML; for all else the schema says what is meant."""

    def read(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: read(item) for key, item in value.items()}
        if isinstance(value, list):
            return [read(item) for item in value]
        meant = value
        if isinstance(value, str):
            with contextlib.suppress(yaml.YAMLError):
                meant = yaml.safe_load(value)
        return meant if meant is None or isinstance(meant, (bool, int, float)) else value

    return {
        key: (read(value) if key == "options" else _options_read(value))
        if isinstance(value, Mapping)
        else value
        for key, value in values.items()
    }


def fill_defaults(
    config: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any]
) -> None:
    """Put the schema's defaults where `config` says nothing, in place."""
    for key, part in schema.get("properties", {}).items():
        if key not in config and "default" in part:
            config[key] = copy.deepcopy(part["default"])
        if isinstance(config.get(key), dict):
            fill_defaults(config[key], _resolved(part, root), root)


def _check_values(
    config: Mapping[str, Any],
    layers: Sequence[Layer],
    schema: Mapping[str, Any],
    partial: bool = False,
) -> None:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(config)
    ordered = sorted(errors, key=lambda error: list(map(str, error.absolute_path)))
    faults = [fault for error in ordered for fault in _reworded(error, schema)]
    if not partial:
        faults += [
            Fault(key, f"{key} has no value; set it, or take a preset that does")
            for key in _unset(config, schema, schema)
        ]
    _raise(faults, layers)


def _raise(faults: Iterable[Fault], layers: Sequence[Layer]) -> None:
    lines = [f"{_where(key, layers)}: {text}" for key, text in faults]
    if lines:
        raise ConfigError("\n".join(lines))


def _reworded(error: jsonschema.ValidationError, root: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each mistake behind one validation error."""
    path = [part for part in error.absolute_path if isinstance(part, str)]
    key, limit = ".".join(path), error.validator_value
    about = _described(path, root)
    verb = "has the entry" if path != list(error.absolute_path) else "is"
    shown = f"{key} {verb} {error.instance!r}" + (f" ({about})" if about else "")
    match error.validator:
        case "additionalProperties":
            known = list(error.schema["properties"])
            for name in sorted(set(error.instance) - set(known), key=str):
                full = ".".join([*path, str(name)])
                if full in RENAMED:
                    yield Fault(full, f"{full} is now called {RENAMED[full]}; rename it")
                    continue
                if full in REMOVED:
                    yield Fault(full, f"{full} is gone ({REMOVED[full]}); take the line out")
                    continue
                hint = choice(str(name), known, _homes(name, root))
                yield Fault(full, f"unknown key {full}; {hint}")
        case "type":
            types = [limit] if isinstance(limit, str) else limit
            wanted = " or ".join(TYPE_WORDS[name] for name in types)
            yield Fault(key, f"{shown}, but it must be {wanted}")
        case "enum":
            yield Fault(key, f"{shown}; {choice(str(error.instance), list(map(str, limit)))}")
        case "minimum":
            yield Fault(key, f"{shown}, but it must be at least {limit}")
        case "maximum":
            yield Fault(key, f"{shown}, but it must be at most {limit}")
        case "exclusiveMinimum":
            yield Fault(key, f"{shown}, but it must be more than {limit}")
        case "minItems":
            yield Fault(key, f"{shown}, but it needs at least {limit} entry")
        case "uniqueItems":
            yield Fault(key, f"{shown}, but an entry stands there twice")
        case _:
            yield Fault(key, f"{shown}, which is not allowed")


def _described(path: Sequence[str], root: Mapping[str, Any]) -> str:
    part: Mapping[str, Any] = root
    for name in path:
        part = part.get("properties", {}).get(name, {})
    return part.get("description", "")


def _homes(name: Any, root: Mapping[str, Any]) -> list[str]:
    """Where in the schema a key of that name does stand, as dotted keys."""
    return [
        f"{section}.{name}"
        for section, part in root["properties"].items()
        if name in part.get("properties", {})
    ]


def _unset(
    config: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], above: str = ""
) -> Iterator[str]:
    for key, part in schema.get("properties", {}).items():
        if key not in config:
            yield above + key
        elif isinstance(config[key], Mapping):
            yield from _unset(config[key], _resolved(part, root), root, f"{above}{key}.")


def _where(key: str, layers: Sequence[Layer]) -> str:
    """Name the highest layer that sets `key`, or a part of it."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        for name, values in reversed(layers):
            found: Any = values
            for part in parts[:length]:
                found = found.get(part) if isinstance(found, Mapping) else None
                if found is None:
                    break
            if found is not None:
                return name
    return "config.yaml"


def _without_empty_sections(values: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Drop sections whose keys are all commented out: YAML reads them as null."""
    sections = {name for name, part in schema["properties"].items() if part.get("type") == "object"}
    return {key: value for key, value in values.items() if value is not None or key not in sections}


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    return root["$defs"][schema["$ref"].rsplit("/", 1)[1]]


def _types(schema: Mapping[str, Any]) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)
