"""How models write tool calls, and how that is read back: one entry for each way of writing.

Which one a model uses is not configured: the one that reads back what its chat template writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Call = tuple[str, dict[str, Any]]  # name, arguments
Reading = tuple[str, list[Call]]  # text beside the calls, calls: at least one
# (tool, argument) -> JSON types its schema allows; only formats that write no quotes need it.
Types = dict[tuple[str, str], frozenset[str]]


@dataclass(frozen=True)
class CallFormat:
    """`read` gives what an answer's text says, or None if no call in it is readable."""

    name: str
    read: Callable[[str, Types], Reading | None]
    typed: bool = False  # whether values can be read only with the types of the schemas


_BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)


def _read_hermes(text: str, types: Types) -> Reading | None:
    """Complete <tool_call> blocks, each with a JSON object; text before the first stays beside."""
    calls = [call for block in _BLOCK.findall(text) if (call := _from_json(block)) is not None]
    return (text[: text.index("<tool_call>")], calls) if calls else None


_FUNCTION = re.compile(
    r"<tool_call>\s*<function=([^>\n]+)>(.*?)</function>\s*</tool_call>", re.DOTALL
)
_PARAMETER = re.compile(r"<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>", re.DOTALL)


def _read_xml(text: str, types: Types) -> Reading | None:
    """<function=NAME> with <parameter=KEY> lines inside <tool_call>; strings stand unquoted."""
    calls = [
        (
            name,
            {
                key: _unquoted(value, types.get((name, key), frozenset()))
                for key, value in _PARAMETER.findall(body)
            },
        )
        for name, body in _FUNCTION.findall(text)
    ]
    return (text[: text.index("<tool_call>")], calls) if calls else None


def _unquoted(text: str, types: frozenset[str]) -> Any:
    """A value whose type only the tool's schema tells; unknown ones are strings."""
    if "null" in types and text in ("null", "None"):
        return None
    if "string" in types or not types:
        return text
    if "boolean" in types and text in ("True", "False"):  # as Python writes them
        return text == "True"
    try:
        return _writable(json.loads(text))
    except _UNREADABLE:
        return text  # the tool will say what is wrong with it


_PYTHON_TAG = "<|python_tag|>"


def _read_llama(text: str, types: Types) -> Reading | None:
    """JSON objects with semicolons between, behind <|python_tag|> or as the whole answer."""
    beside, tag, rest = text.partition(_PYTHON_TAG)
    if not tag:
        beside, rest = "", text
    calls = []
    decoder = json.JSONDecoder()
    while rest := rest.lstrip(" \n;"):
        try:
            value, end = decoder.raw_decode(rest)
            call = _call(_writable(value))
        except _UNREADABLE:
            break
        # Without the tag it must be a call beyond doubt: an answer can be JSON, too.
        if call is None or not (tag or value.keys() & {"parameters", "arguments"}):
            break
        calls.append(call)
        rest = rest[end:]
    if not calls or (rest and not tag):
        return None
    return beside, calls


def _from_json(text: str) -> Call | None:
    try:
        return _call(_writable(json.loads(text)))
    except _UNREADABLE:
        return None


def _call(value: Any) -> Call | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    return (value["name"], arguments) if isinstance(arguments, dict) else None


# A model in a loop nests brackets without end.
_UNREADABLE = (ValueError, RecursionError)


def _writable(value: Any) -> Any:
    """The value. Raises ValueError for half a character, as \\ud83d is: no file takes it."""
    json.dumps(value, ensure_ascii=False).encode()
    return value


# In the order in which they are tried.
FORMATS = (
    CallFormat("hermes", _read_hermes),
    CallFormat("xml", _read_xml, typed=True),
    CallFormat("llama", _read_llama),
)


def argument_types(tools: Iterable[dict[str, Any]]) -> Types:
    """The types of all arguments of tools, given as OpenAI schemas."""
    types = {}
    for tool in tools:
        function = tool["function"]
        for name, schema in function["parameters"].get("properties", {}).items():
            types[function["name"], name] = _types(schema)
    return types


def _types(schema: dict[str, Any]) -> frozenset[str]:
    found = schema.get("type", [])
    alternatives = schema.get("anyOf", [])
    return frozenset([found] if isinstance(found, str) else found).union(*map(_types, alternatives))
