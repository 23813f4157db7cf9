"""Settings shown to people: config.yaml itself, and the values in force with their origins."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tau2_agent.config.fields import Section, leaves, section_of
from tau2_agent.config.layers import load_preset
from tau2_agent.config.resolve import DEFAULT_PRESETS, PRESET_WORD, SECTIONS, Resolved
from tau2_agent.config.settings import Settings

HEAD = """\
# The one file to edit. Each key shows its default; take away a "#" and change the value. `preset`
# stands where recipes differ: the presets' values are behind it. To take away a "#" alone changes
# nothing. On the command line: snakemake --config seed=1 'grpo={lr: 1.0e-4, rollouts: 40}'
# Later wins: presets/NAME.yaml < this file < --configfile FILE < --config.
# What is in force, and where it comes from: python scripts/show_config.py
# This file is made from scripts/tau2_agent/config/settings.py. Small numbers have a point: 1.0e-6.
"""
RUNS = """\
# Further runs beside this one, by name, each with values of its own. `snakemake` makes all of them
# and one table; results/NAME/eval_SPLIT.json is one. Stages that read the same values are shared.
"""
WIDTH = 100
LONGEST = 36  # of a key and its value, for what the help lines are aligned to


def as_yaml(value: Any) -> str:
    """A value in one line of YAML; small numbers with a point."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _number(value: float) -> str:
    text = repr(value)
    if "e" not in text and (value == 0 or abs(value) >= 0.01):
        return text
    digits, exponent = f"{value:.16e}".split("e")
    digits = digits.rstrip("0")
    short = f"{value:e}" if float(f"{value:e}") == value else f"{digits}e{exponent}"
    digits, exponent = short.split("e")
    digits = digits.rstrip("0")
    return f"{digits}0e{int(exponent)}" if digits.endswith(".") else f"{digits}e{int(exponent)}"


# --- config.yaml ----------------------------------------------------------------------------------


def keys_of_presets(presets: Path) -> set[str]:
    """The dotted keys that any preset sets: recipes differ in them."""
    recipes = [load_preset(path.stem, presets) for path in presets.glob("*.yaml")]
    return {
        key for key, _ in leaves(Settings) for recipe in recipes if _has(recipe, key.split("."))
    }


def template(presets: Path) -> str:
    """Return the text of config.yaml."""
    differ = keys_of_presets(presets)
    recipes = {name: load_preset(name, presets) for name in DEFAULT_PRESETS.values()}
    lines = [HEAD]
    for key, field in Settings.model_fields.items():
        if key in ("backend", "preset"):
            lines.append(f"{key}: {as_yaml(field.default)} # {field.description}\n")
    lines.append("\n")
    own = {key: field for key, field in Settings.model_fields.items() if key not in SECTIONS}
    shown = [key for key in own if key not in ("backend", "preset", "runs")]
    lines += _lines("", {key: own[key] for key in shown}, differ, recipes)
    for section in SECTIONS:
        model = section_of(Settings.model_fields[section])
        lines.append(f"\n{_comment(model)}{section}:\n")
        lines += _lines(f"{section}.", model.model_fields, differ, recipes, "  ")
    lines.append(f"\n{RUNS}# runs: {{}}  # {own['runs'].description}\n")
    return "".join(lines)


def _comment(section: type[Section]) -> str:
    words = " ".join((section.__doc__ or "").split())
    return "".join(f"# {line}\n" for line in textwrap.wrap(words, WIDTH - 2))


def _lines(
    above: str,
    keys: Mapping[str, FieldInfo],
    differ: set[str],
    recipes: Mapping[str, Mapping[str, Any]],
    indent: str = "",
) -> Iterator[str]:
    shown = []
    for key, field in keys.items():
        if above + key not in differ:
            shown.append((f"{indent}# {key}: {as_yaml(field.default)}", field.description or ""))
            continue
        names: dict[str, list[str]] = {}  # value -> the presets that have it
        for name, recipe in recipes.items():
            names.setdefault(_value(recipe, above + key, field), []).append(name)
        said = ", ".join(f"{' and '.join(those)} {value}" for value, those in names.items())
        shown.append((f"{indent}# {key}: {PRESET_WORD}", f"{said}; {field.description}"))
    column = max((len(start) for start, _ in shown if len(start) <= LONGEST), default=0)
    for start, help_text in shown:
        first, *more = textwrap.wrap(
            help_text,
            WIDTH,
            initial_indent=f"{start:{column}}  # ",
            subsequent_indent=f"{indent}#".ljust(column + 4),
            break_on_hyphens=False,
            break_long_words=False,
        )
        yield f"{first}\n"
        yield from (f"{line}\n" for line in more)


def _value(recipe: Mapping[str, Any], key: str, field: FieldInfo) -> str:
    path = key.split(".")
    if _has(recipe, path):
        value: Any = recipe
        for part in path:
            value = value[part]
        return as_yaml(value)
    return as_yaml(field.default)


def _has(values: Mapping[str, Any], path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def active(text: str) -> str:
    """config.yaml with the "#" of every key taken away."""
    return re.sub(r"(?m)^(\s*)# (\w+: \S.*  # )", r"\1\2", text)


# --- values in force ------------------------------------------------------------------------------


def in_force(resolved: Resolved) -> list[tuple[str, str, str]]:
    """(dotted key, value as YAML, where it comes from) of every key."""
    rows = []
    for key, origin in resolved.origins.items():
        value: Any = resolved.config
        for part in key.split("."):
            value = value[part]
        rows.append((key, as_yaml(value), origin))
    return rows
