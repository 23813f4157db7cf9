"""What a language model writes for its own server, and nobody should hear.

A server that does not know its model's format hands on calls of tools, thoughts and control tokens
as text. Such a text is no utterance: it is neither spoken nor taught, and a stop word in it stops
nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

_THOUGHT = re.compile(r"</?\s*(?:think(?:ing)?|thoughts?|reasoning|scratchpad)\s*>", re.IGNORECASE)
_TAG = re.compile(
    r"</?\s*(?:\w+:)?(?:tool|function)[_-]?(?:calls?|response|results?|code|outputs?)\b[^>\n]*>"
    r"|<\s*(?:invoke|parameter|function|tool)\b[ =][^>\n]*>"
    r"|\[/?(?:TOOL_CALLS?|TOOL_RESULTS|AVAILABLE_TOOLS|TOOL_REQUEST|ARGS)\]"
    r"|```\s*(?:tool_code|tool_call|tool_outputs)\b"
    r"|\bdefault_api\.\w+\(",
    re.IGNORECASE,
)
# <|im_end|>, <｜tool▁calls▁begin｜>, <start_of_turn>, [INST]
_CONTROL = re.compile(r"<[|｜][\w▁:/ -]+[|｜]>|<(?:start|end)_of_turn>|\[/?INST\]|</?s>")
_CALL = re.compile(r"[\s`*]*(?:print\()?(?:\w+\.)?(\w+)\s*\((.*)\)\s*\)?[\s`*;.]*", re.DOTALL)
_FENCE = re.compile(r"```[a-z]*\s*(.*?)```", re.DOTALL)


def leaked(text: str | None, tools: frozenset[str] = frozenset()) -> str | None:
    """Name what of a model's own format stands in a text, for people; None if nothing does.

    tools: names of tools; with them a text that is nothing but a call of one is found too: as
    JSON, as Python, or in a fence.
    """
    if not text:
        return None
    if found := _THOUGHT.search(text):
        return (
            f"a thought in the text ({found[0]}): start the model's server with its reasoning "
            "parser, or turn thinking off"
        )
    if found := _TAG.search(text):
        return f"a tool call written as text ({found[0]}): {_REMEDY}"
    if found := _CONTROL.search(text):
        return f"a control token in the text ({found[0]})"
    if name := _bare_call(text, tools):
        return f"a tool call written as text ({name}): {_REMEDY}"
    return None


_REMEDY = "start the model's server with its tool-call parser"


def _bare_call(text: str, tools: frozenset[str]) -> str | None:
    for part in [text, *_FENCE.findall(text)]:
        if (match := _CALL.fullmatch(part)) and match[1] in tools:
            return match[1]
        start = part.find("{")
        while start >= 0:
            name, end = _named(part, start)
            if name in tools:
                return name
            start = part.find("{", end)
    return None


def _named(text: str, start: int) -> tuple[str | None, int]:
    """The tool that the JSON at `start` calls, and where to look for the next."""
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start + 1
    return _called(value), end


def _called(value: Any) -> str | None:
    if isinstance(value, dict):
        if isinstance(value.get("function"), dict):
            value = value["function"]
        if {"arguments", "parameters", "args", "input"} & value.keys():
            name = value.get("name") or value.get("function") or value.get("tool")
            return name if isinstance(name, str) else None
        for key in ("tool_calls", "tool_call", "function_call"):
            inner = value.get(key)
            if isinstance(inner, list):
                inner = inner[0] if inner else None
            if inner is not None:
                return _called(inner)
    return None
