"""Where values come from: YAML files, presets that extend each other, and the command line.

    preset < config.yaml < --configfile < --config

Each is a layer: a name and its values. YAML keeps the last of two equal keys and says nothing;
here they are a mistake. How the command line is read stands in command_line.py.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tau2_agent.errors import PipelineError

COMMAND_LINE = "--config"  # the layer of that name has texts for numbers

YAML_NULLS = ("null", "Null", "NULL", "~")
Layer = tuple[str, Mapping[str, Any]]  # where values come from, and the values


class ConfigError(PipelineError):
    """Mistakes in the configuration, one a line, each with its remedy."""


class _Loader(yaml.SafeLoader):
    """YAML in which keys are texts, none stands twice in a section, and 010 and 1:30 are mistakes.

    YAML 1.1 reads these two as 8 and 90, and says nothing.
    """

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        read = self.construct_yaml_int if node.tag.endswith("int") else self.construct_yaml_float
        value = read(node)
        if ":" in node.value or re.fullmatch(r"[-+]?0[0-7_]+", node.value):
            raise ConfigError(
                f"{node.start_mark.name}: line {node.start_mark.line + 1}: YAML reads "
                f"{node.value} as {value}; write the number without colons and leading zeros"
            )
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if isinstance(key, str) and key != "<<":
                if key in lines:
                    raise ConfigError(
                        f"{node.start_mark.name}: line {line}: {key} stands there twice, first in "
                        f"line {lines[key]}; join the two, or delete one"
                    )
                lines[key] = line
        values = super().construct_mapping(node, deep)
        for key in values:
            if not isinstance(key, str):
                raise ConfigError(
                    f"{node.start_mark.name}: line {node.start_mark.line + 1}: there is the key "
                    f"{key!r}, as YAML reads it, and keys are texts; correct it, or put it in "
                    "quotation marks"
                )
        return values


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)


def read_yaml(path: Path, name: str = "") -> dict[str, Any]:
    """Return a file's keys and values. name: of the file in messages. Raises ConfigError."""
    name = name or str(path)
    try:
        values = parse(path.read_text(encoding="utf-8"), name)
    except FileNotFoundError:
        raise ConfigError(f"{name}: there is no such file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name} is no text in UTF-8; save it as such") from None
    except OSError as error:
        raise ConfigError(f"{name} cannot be read ({error.strerror}); name another file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{name}: {place}no valid YAML ({problem}); correct it") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{name} must hold keys and values, such as seed: 1")
    return values


def parse(text: str, name: str) -> Any:
    """Return what a YAML text says. Raises ConfigError for a key that stands twice, YAMLError."""
    loader = _Loader(text)
    loader.name = name
    try:
        values = loader.get_single_data()
        json.dumps(values, default=str, check_circular=False)  # an alias in its own section
    except RecursionError:
        raise ConfigError(
            f"{name}: sections within sections without end; take out the alias (*) of a section "
            "within itself"
        ) from None
    except ValueError as error:  # of Python: a date that no calendar has, thousands of digits
        reason = str(error).partition(";")[0]
        raise ConfigError(f"{name}: a value cannot be read ({reason}); correct it") from None
    return values


def preset_layers(name: str, folder: Path, seen: tuple[str, ...] = ()) -> list[Layer]:
    """Return presets/NAME.yaml and, before it, the presets that it extends. Raises ConfigError."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        place = f"presets/{seen[-1]}.yaml: extends: " if seen else ""
        raise ConfigError(f"{place}preset {name!r} is not there; {choice(name, known)}")
    if name in seen:
        raise ConfigError(f"presets extend each other in a circle: {' -> '.join([*seen, name])}")
    shown = f"presets/{name}.yaml"
    values = read_yaml(folder / f"{name}.yaml", shown)
    parent = values.pop("extends", None)
    if "preset" in values:
        raise ConfigError(f"{shown}: preset: to build on another preset, write extends instead")
    below = [] if parent is None else preset_layers(str(parent), folder, (*seen, name))
    return [*below, (shown, values)]


def load_preset(name: str, folder: Path) -> dict[str, Any]:
    """Return the values of a preset, laid over those that it extends. Raises ConfigError."""
    return merge(*(values for _, values in preset_layers(name, folder)))


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


def choice(name: str, known: Sequence[str], elsewhere: Sequence[str] = ()) -> str:
    """Return a remedy for a wrong name: the nearest right ones, and all of them."""
    close = difflib.get_close_matches(name.lower(), [one.lower() for one in known], n=1)
    near = [*elsewhere, *(one for one in known if one.lower() in close)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}Valid: {', '.join(known)}"


def file_layers(files: Sequence[Path]) -> list[Layer]:
    """Return a layer for each file, in that order. Raises ConfigError."""
    return [(str(file), read_yaml(file)) for file in files]


def texts_read(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return --config's values with `null` read as such, and all texts in `options` as YAML; for
    the rest the settings say what a text means."""

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

    def meant(key: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return read(value) if key == "options" else texts_read(value)
        return None if value in YAML_NULLS else value

    return {key: meant(key, value) for key, value in values.items()}
