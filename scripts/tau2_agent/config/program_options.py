"""Options of the programs, made from the settings: same name, type, range, default and help.

A program that is started by hand so does what the workflow does. Where recipes differ, its default
is that of the preset of its backend.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tau2_agent.config.fields import choices_of, find
from tau2_agent.config.layers import load_preset
from tau2_agent.config.mistakes import reworded
from tau2_agent.config.resolve import DEFAULT_PRESETS
from tau2_agent.config.settings import Settings

PRESETS = Path(__file__).resolve().parents[3] / "presets"


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add --configfile and --config, as Snakemake has them."""
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="over config.yaml")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="over both")


@cache
def _recipe(backend: str) -> dict[str, Any]:
    return load_preset(DEFAULT_PRESETS[backend], PRESETS)


def default(key: str, backend: str) -> Any:
    """The value of a dotted key that a program of a backend has by itself."""
    value: Any = _recipe(backend)
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            field = find(Settings, key.split("."))
            return None if field.is_required() else field.get_default(call_default_factory=True)
        value = value[part]
    return value


def add(parser: argparse.ArgumentParser | argparse._ArgumentGroup, keys: str, backend: str) -> None:
    """Add an option for each of the dotted keys (one text, with blanks between).

    grpo.max_steps becomes --max-steps. A key without any default is a required option.
    """
    for key in keys.split():
        field = find(Settings, key.split("."))
        name = "--" + key.rsplit(".", 1)[-1].replace("_", "-")
        value = default(key, backend)
        common: dict[str, Any] = {"help": (field.description or "").replace("%", "%%")}
        if isinstance(value, bool):
            parser.add_argument(
                name, action=argparse.BooleanOptionalAction, default=value, **common
            )
            continue
        common["type"] = _reader(key)
        if choices_of(field):
            common["choices"] = choices_of(field)
        required = value is None and field.is_required()
        parser.add_argument(name, default=value, required=required, **common)


def _reader(key: str) -> Callable[[str], Any]:
    adapter = TypeAdapter(find(Settings, key.split(".")).rebuild_annotation())

    def read(text: str) -> Any:
        try:
            return adapter.validate_python(text)
        except ValidationError as error:
            fault = reworded({**error.errors(include_url=False)[0], "loc": tuple(key.split("."))})
            raise argparse.ArgumentTypeError(fault.text) from None

    return read
