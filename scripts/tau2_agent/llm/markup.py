"""What a language model writes for its own server, and nobody should hear.

A server that does not know its model's format hands on calls of tools, thoughts and control tokens
as text. Such a text is no utterance: it is neither spoken nor taught, and a stop word in it stops
nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

# <think>, [THINK], ◁think▷, <seed:think>, <antThinking>, "Thought: …" at the beginning, and what
# is left of harmony's channels.
_THINKING = (
    r"(?:think(?:ing)?|thoughts?|reasoning|scratchpad|analysis|reflection|cot"
    r"|(?:inner|internal)?[_ ]?(?:monologue|thoughts?))"
)
_THOUGHT = re.compile(
    rf"[<◁]\s*/?\s*(?:\w+[:_-]|ant)?{_THINKING}\b[^<>\n]*?[>▷]"
    rf"|\[/?\s*THINK(?:ING)?\s*\]"
    rf"|\A\W*{_THINKING}[ *_]*:"
    r"|\bassistant(?:final|commentary|analysis)\b|\A\s*analysis(?=[A-Z])",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"</?\s*(?:\w+:)?(?:tool|function)[_-]?(?:calls?|response|results?|code|outputs?)\b[^>\n]*>"
    r"|<\s*(?:invoke|parameter|function|tool)\b[ =][^>\n]*>"
    r"|\[/?(?:TOOL_CALLS?|TOOL_RESULTS|AVAILABLE_TOOLS|TOOL_REQUEST|ARGS)\]"
    r"|```\s*(?:tool_code|tool_call|tool_outputs)\b"
    r"|\bdefault_api\.\w+\(",
    re.IGNORECASE,
)
# <|im_end|>, <｜tool▁calls▁begin｜>, <start_of_turn>, [INST]
_CONTROL = re.compile(r"<[|｜][\w▁:/ -]+[|｜]|<(?:start|end)_of_turn>|\[/?INST\]|</?s>")
# A line, or a whole text, that is nothing but a tool's name with or without arguments, behind
# words such as `Action:`, `await` or `result =`.
_CALL = re.compile(
    r"[\W_]*"
    r"(?:(?:(?:assistant|user|system|action|tool|function|call(?:s|ing)?|name|to|await|return|print|invoke[sd]?|run(?:s|ning)?"
    r"|execut(?:e|es|ing)|us(?:e|es|ing))\b|\w+\s*(?==))[\W_]*)*"
    r"(?:\w+\.)*(\w+)\s*(?:\(.*\)|\{.*\}|:\d+\s*\{.*\})?"
    r"[\W_]*(?:(?:tool|function|now|next|first|again)\b[\W_]*)*",
    re.DOTALL | re.IGNORECASE,
)
# "I will now do this: `toggle_data()`": what a user says he is about to do, and the call for it.
_ANNOUNCED = re.compile(
    r".*\b(?:i(?:['\u2019]ll| will|['\u2019]m| am)|let me|let['\u2019]s)\b[^:\n]*:\W*"
    r"(\w+)\s*\([^\n]*\)[\W_]*",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```[a-z]*\s*(.*?)```", re.DOTALL)


def call_arguments(text: str | None) -> dict[str, Any] | None:
    """The arguments of a tool call, written as JSON; None if they are no object.

    Nor may they hold what no file takes: NaN, and half a character (\\ud83d).
    """
    try:
        arguments = json.loads(text or "{}")
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


class Leak(NamedTuple):
    """what: stands in a text, for people. remedy: of who serves the model; "" if none is known."""

    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}" if self.remedy else self.what


def leaked(text: str | None, tools: frozenset[str] = frozenset()) -> Leak | None:
    """Find what of a model's own format stands in a text; None if nothing does.

    tools: names of tools; with them a text that is nothing but a call of one is found too: as
    JSON, as Python, or in a fence.
    """
    if not text:
        return None
    if found := _THOUGHT.search(text):
        return Leak(
            f"a thought in the text ({found[0]})",
            "start the model's server with its reasoning parser, or turn thinking off",
        )
    if found := _TAG.search(text):
        return Leak(f"a tool call written as text ({found[0]})", _TOOL_CALL_PARSER)
    if found := _CONTROL.search(text):
        return Leak(f"a control token in the text ({found[0]})")
    if name := _bare_call(text, tools):
        return Leak(f"a tool call written as text ({name})", _TOOL_CALL_PARSER)
    return None


_TOOL_CALL_PARSER = "start the model's server with its tool-call parser"


def _bare_call(text: str, tools: frozenset[str]) -> str | None:
    for name in re.findall(r"<\s*/?\s*(\w+)[^<>\n]*>", text):  # <toggle_data/>
        if name in tools:
            return name
    for part in [text, *_FENCE.findall(text), *text.splitlines()]:
        match = _CALL.fullmatch(part) or _ANNOUNCED.fullmatch(part)
        if match and match[1] in tools:
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
        for key in ("name", "function", "tool", "tool_name", "action", "recipient_name"):
            if isinstance(value.get(key), str):
                return value[key].rpartition(".")[2]
        for key in ("tool_calls", "tool_call", "function_call"):
            inner = value.get(key)
            if isinstance(inner, list):
                inner = inner[0] if inner else None
            if inner is not None:
                return _called(inner)
    return None
