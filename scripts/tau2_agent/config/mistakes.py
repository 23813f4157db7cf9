"""Mistakes in a configuration, reworded for people: file, key, value, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tau2_agent.config.fields import choices_of, find, section_of
from tau2_agent.config.layers import ConfigError, Layer, choice
from tau2_agent.config.settings import Settings

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
REMOVED = {
    "sft.response_length": "it never changed the training",
    "slime.router_policy": "an episode stays on one engine with either router",
}

DEFAULT = "default"  # where a value comes from that nobody set
_NAMED = re.compile(r"\b([a-z_]+)\.([a-z_]+)((?: [×/] [a-z_]+)*)")

# Pydantic's name of a mistake -> what the value must be; {…} stands for the limit.
MUST_BE = {
    "float_type": "a number, such as 0.1 or 1.0e-6",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "text, in quotation marks if it looks like a number",
    "list_type": "a list, such as [test]",
    "model_type": "a section of keys",
    "dict_type": "a section of keys",
    "finite_number": "a finite number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "text that is not empty",
    "too_short": "a list with at least {min_length} entry",
}


class Fault(NamedTuple):
    """A mistake: the dotted key it is about, a sentence with the remedy, and the other keys that do
    not fit that one."""

    key: str
    text: str
    others: tuple[str, ...] = ()


def report(faults: Iterable[Fault], layers: Sequence[Layer]) -> None:
    """Raise ConfigError if there are faults: a line each, with the file that set the key.

    Values that do not fit each other may come from several places: the line begins with the one
    that wins over the others, and ends with all of them.
    """
    if lines := [_line(fault, layers) for fault in faults]:
        raise ConfigError("\n".join(lines))


def _line(fault: Fault, layers: Sequence[Layer]) -> str:
    keys = dict.fromkeys([fault.key, *fault.others])
    places: dict[str, list[str]] = {}
    for key in keys:
        places.setdefault(origin(key, layers, whole=True) or DEFAULT, []).append(key)
    if len(keys) == 1 or len(places) == 1:
        return f"{origin(fault.key, layers) or 'config.yaml'}: {fault.text}"
    said = "; ".join(f"{place}: {', '.join(keys)}" for place, keys in places.items())
    last = next(name for name, _ in reversed(layers) if name in places)
    return f"{last}: {fault.text} ({said})"


def keys_in_complaint(text: str) -> tuple[str, ...]:
    """The settings that a sentence names before its remedy, which a semicolon begins.

    "grpo.a × b" names grpo.a and grpo.b.
    """
    found = []
    for section, first, more in _NAMED.findall(text.partition(";")[0]):
        names = [first, *re.findall(r"\w+", more)]
        found += [f"{section}.{name}" for name in names if find(Settings, [section, name])]
    return tuple(found)


def origin(key: str, layers: Sequence[Layer], whole: bool = False) -> str | None:
    """Name the highest layer that sets `key`, or a section that it is in; None if none does.

    whole: a section does not count.
    """
    for name, values in reversed(layers):
        if key in values:  # also one that is wrongly written with a dot
            return name
    parts = key.split(".")
    for length in range(len(parts), len(parts) - 1 if whole else 0, -1):
        for name, values in reversed(layers):
            found: Any = values
            for part in parts[:length]:
                if not isinstance(found, Mapping) or part not in found:
                    break
                found = found[part]
            else:
                return name
    return None


def reworded(error: Mapping[str, Any]) -> Fault:
    """Reword one of Pydantic's errors."""
    path = [str(part) for part in error["loc"] if not isinstance(part, int)]
    key = ".".join(path)
    if error["type"] in ("extra_forbidden", "invalid_key"):
        path = [str(part) for part in error["loc"]]
        return Fault(".".join(path), _unknown(path))
    if error["type"] == "missing":
        elsewhere = ", or take a preset that does" if len(path) < 3 else ""
        return Fault(key, f"{key} has no value; set it{elsewhere}")
    field = find(Settings, path)
    verb = "has the entry" if len(path) < len(error["loc"]) else "is"
    about = field.description if field and field.description else ""
    shown = f"{key} {verb} {_as_yaml(error['input'])}" + (f" ({about})" if about else "")
    if error["type"] == "literal_error" and field is not None:
        return Fault(key, f"{shown}; {choice(str(error['input']), list(choices_of(field)))}")
    if error["type"] == "hidden":
        return Fault(key, f"{key}{error['msg']}")
    if error["type"] == "wrong":
        return Fault(key, f"{shown}, {error['msg']}")
    if error["type"] in MUST_BE:
        wanted = MUST_BE[error["type"]].format_map(error.get("ctx", {}))
        return Fault(key, f"{shown}, but it must be {wanted}")
    return Fault(key, f"{shown}, which is not allowed")


def _unknown(path: Sequence[str]) -> str:
    key, name = ".".join(path), path[-1]
    if "." in name and find(Settings, name.split(".")):
        section, _, below = name.partition(".")
        return f"{key} is a key in a section: write {section}: {{{below}: …}}"
    if key in RENAMED:
        return f"{key} is now called {RENAMED[key]}; rename it"
    if key in REMOVED:
        return f"{key} is gone ({REMOVED[key]}); take it out"
    section = find(Settings, path[:-1])
    known = list((section_of(section) if section else Settings).model_fields)
    homes = [
        f"{section}.{name}" for section in Settings.model_fields if find(Settings, [section, name])
    ]
    return f"unknown key {key}; {choice(name, known, homes)}"


def _as_yaml(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)
