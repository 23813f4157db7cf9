"""What a chat template and a tokenizer are tried with: tools, messages, arguments and texts.

They are what templates are known to lose, and as long and as many as an agent's own.
"""

from __future__ import annotations

import unicodedata
from typing import Any


def mark(what: str) -> str:
    """A text that stands in no template and that no template changes."""
    return f"Xq7 {what} Zk9"


# As long as what an agent reads: nothing may be cut.
LONG = " ".join(f"word {number}" for number in range(500))


def _tool(name: str, **properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": [next(iter(properties))]}
    described = mark(f"description of {name}")
    function = {"name": name, "description": described, "parameters": parameters}
    return {"type": "function", "function": function}


_STRING = {"type": "string", "description": mark("argument's description")}
TOOLS: list[dict[str, Any]] = [
    _tool(
        "probe_tool",
        probe_text=_STRING,
        probe_whole={"type": "integer"},
        probe_share={"type": "number"},
        probe_flag={"type": "boolean"},
        probe_nested={"type": "object"},
        probe_listed={"type": "array", "items": {"type": "string"}},
    ),
    # As many as tau2's agent has.
    *(_tool(f"tool_{number:02}", **{f"text_{number:02}": _STRING}) for number in range(14)),
]


def _other_schema(**change: Any) -> list[dict[str, Any]]:
    *before, last = TOOLS
    function = last["function"]
    parameters = function["parameters"] | change
    return [*before, last | {"function": function | {"parameters": parameters}}]


TOOLS[-1]["function"]["description"] += f" {LONG}."
OTHER_SCHEMAS = [
    _other_schema(required=[]),
    _other_schema(properties={"text_13": _STRING | {"type": "boolean"}}),
]


def call_id(number: int) -> str:
    return f"probe{number:04}"  # nine characters, as Mistral's templates want it


def calls(*calls: tuple[str, dict[str, Any]], text: str = "") -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": text,
        "tool_calls": [
            {
                "id": call_id(i),
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for i, (name, arguments) in enumerate(calls)
        ],
    }


def results(*texts: str) -> list[dict[str, Any]]:
    return [
        {"role": "tool", "content": text, "tool_call_id": call_id(i)}
        for i, text in enumerate(texts)
    ]


# Stand-ins for what comes before the message of interest.
ASKED = {"role": "user", "content": "x"}
SAID = {"role": "assistant", "content": "y"}
CALLED = calls(("probe_tool", {"probe_text": "b"}))

ARGUMENTS: dict[str, dict[str, Any]] = {
    "a string": {"probe_text": "C1001"},
    "a string that looks like a number": {"probe_text": "5551232002"},
    "a string with blanks": {"probe_text": " a  b "},
    "numbers": {"probe_whole": -3, "probe_share": 2.0},
    "truth values": {"probe_flag": False},
    "a nested object": {
        "probe_nested": {"a": [1, {"b": None}], "c": "d"},
        "probe_listed": ["e", "f"],
    },
    "unicode": {"probe_text": "Zoë 東京 🙂"},
    "a backslash": {"probe_text": "C:\\new\\table"},
    "quotes and new lines": {"probe_text": 'He said: "it\'s\n\tdone"\nand left'},
    "signs of markup": {"probe_text": "1 < 2 & 3 > 2 {{ x }} {% y %}"},
    "an empty object": {"probe_nested": {}},
    "no arguments": {},
}
# More than two: some templates write the first calls only, or the first results.
MANY_CALLS = [
    (tool["function"]["name"], {f"text_{i:02}": "c"}) for i, tool in enumerate(TOOLS[1:6])
]
TEXT = 'First line: "a" \\ {b}.\n\nSecond line, é 東京 🙂 & <c>.\nThird line.'
# Contents of messages in a row, to see whether a template writes them unchanged.
AWKWARD_TEXTS: list[list[str]] = [
    [TEXT],
    [" \n x \n ", "", '{"a": "b\\n"}'],
    ["", "<tool_response>\nz\n</tool_response>", "/nothink"],
    [LONG, "Error: x", "Error: x"],
]
# Every byte of UTF-8, so that a vocabulary without one is found; composed, as Qwen's wants it.
EVERY_BYTE = unicodedata.normalize(
    "NFC",
    "".join(
        map(
            chr,
            (
                *range(0x20, 0x7F),
                *range(0x400, 0x440),
                *range(0xC0, 0x800, 0x40),
                *range(0x1041, 0xD800, 0x1000),
                *(0xA1, 0xE01, 0xFA0E, 0x1F642),
            ),
        )
    ),
)
