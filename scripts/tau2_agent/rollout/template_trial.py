"""Whether a chat template and a tokenizer do what training relies on: tried, not believed.

Everything that a codec does in an episode is done once, with arguments and texts that templates
are known to lose. The first thing that does not come out right is the reason of a TemplateError.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tau2_agent.rollout.rendering import Rendering, TemplateError, TokenizerError

if TYPE_CHECKING:
    from tau2_agent.rollout.chat_template import ChatCodec


def mark(what: str) -> str:
    """A text that stands in no template and that no template changes."""
    return f"Xq7 {what} Zk9"


_STRING = {"type": "string", "description": mark("argument's description")}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "probe_tool",
            "description": mark("tool's description"),
            "parameters": {
                "type": "object",
                "properties": {
                    "probe_text": _STRING,
                    "whole": {"type": "integer"},
                    "share": {"type": "number"},
                    "flag": {"type": "boolean"},
                    "nested": {"type": "object"},
                    "listed": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["probe_text"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "second_tool",
            "description": mark("second tool's description"),
            "parameters": {"type": "object", "properties": {"second_text": _STRING}},
        },
    },
]


def _calls(*calls: tuple[str, dict[str, Any]], text: str = "") -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": text,
        "tool_calls": [
            {"id": str(i), "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(calls)
        ],
    }


def _results(*texts: str) -> list[dict[str, Any]]:
    return [
        {"role": "tool", "content": text, "tool_call_id": str(i)} for i, text in enumerate(texts)
    ]


# Stand-ins for what comes before the message of interest.
ASKED = {"role": "user", "content": "x"}
SAID = {"role": "assistant", "content": "y"}
CALLED = _calls(("probe_tool", {"probe_text": "b"}))

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "a string": {"probe_text": "C1001"},
    "a string that looks like a number": {"probe_text": "5551232002"},
    "numbers": {"whole": -3, "share": 2.0},
    "truth values": {"flag": False},
    "a nested object": {"nested": {"a": [1, {"b": None}], "c": "d"}, "listed": ["e", "f"]},
    "unicode": {"probe_text": "Zoë 東京 🙂"},
    "a backslash": {"probe_text": "C:\\new\\table"},
    "quotes and new lines": {"probe_text": 'He said: "it\'s\n\tdone"\nand left'},
    "signs of markup": {"probe_text": "1 < 2 & 3 > 2 {{ x }} {% y %}"},
    "an empty object": {"nested": {}},
    "no arguments": {},
}
_TEXT = 'First line: "a" \\ {b}.\n\nSecond line, é 東京 🙂 & <c>.'
# Contents of messages in a row, to see whether a template writes them unchanged.
AWKWARD_TEXTS: list[list[str]] = [
    [_TEXT],
    [" \n x \n ", "", '{"a": "b\\n"}'],
    ["", "<tool_response>\nz\n</tool_response>", "/nothink"],
]


def check_tools(codec: ChatCodec) -> None:
    """The prompt shows what the agent is told, its tools among it. Raises TemplateError."""
    _check_tokenizer(codec)
    texts = {"system prompt": mark("system"), "greeting": mark("greeting"), "user": mark("user")}
    talk = [
        {"role": role, "content": text}
        for role, text in zip(("system", "assistant", "user"), texts.values(), strict=True)
    ]
    for tools in ([], TOOLS):
        prompt = codec.render(talk, tools, generation_prompt=True)
        for what, text in texts.items():
            if text not in prompt:
                raise TemplateError(f"the chat template leaves out the {what}'s text")
    for tool in TOOLS:
        function = tool["function"]
        if function["name"] not in prompt or function["description"] not in prompt:
            raise TemplateError(
                "the chat template leaves out the tools: an agent would not know what it can call"
            )
        arguments = function["parameters"]["properties"]
        if not all(name in prompt for name in arguments) or _STRING["description"] not in prompt:
            raise TemplateError("the chat template shows tools without the schemas of arguments")
    _check_date(codec.render, talk)


def check(codec: ChatCodec) -> None:
    """Everything else. Raises TemplateError with the first thing that is not right."""
    _check_calls(codec)
    _check_results(codec)
    _check_stream(codec)


def _check_date(render: Rendering, talk: list[dict[str, Any]]) -> None:
    """Tokens of tomorrow are those of today."""
    probe = mark("date")
    dated = Rendering(
        render.tokenizer, "{% macro strftime_now(f) %}" + probe + "{% endmacro %}" + render.template
    )
    if "strftime_now" in render.template and probe in dated(talk, TOOLS, generation_prompt=True):
        raise TemplateError(
            "the chat template writes today's date into the prompt: a model trained today would be "
            "asked something else tomorrow"
        )


def _check_tokenizer(codec: ChatCodec) -> None:
    for text in (
        _TEXT,
        "  Two  blanks \t and a tab",
        "“Ａ” – ﬁ ½ …",
        *map(json.dumps, _ARGUMENTS.values()),
    ):
        back = codec.decode(codec.encode(text))
        if back != text:
            raise TokenizerError(
                f"the tokenizer does not give back what it was given: {text!r} becomes {back!r}"
            )


def _check_calls(codec: ChatCodec) -> None:
    probes = [
        *((what, _calls(("probe_tool", arguments))) for what, arguments in _ARGUMENTS.items()),
        ("text beside a call", _calls(("probe_tool", {"probe_text": "b"}), text="Let me see.")),
        (
            "two calls in one turn",
            _calls(("probe_tool", {"probe_text": "b"}), ("second_tool", {"second_text": "c"})),
        ),
        ("an answer without a call", {"role": "assistant", "content": _TEXT}),
    ]
    for what, message in probes:
        try:
            read = codec.parse(codec.answer(message), first_call=0)
        except TemplateError as error:
            raise TemplateError(f"{what}: {error}") from error
        written = codec.answer_text(message).strip()
        if message["content"] not in written:
            raise TemplateError(f"the chat template leaves out {what}")
        got = [(call.name, call.arguments) for call in read.tool_calls or []]
        wanted = [
            (call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls", [])
        ]
        # As text: 2 is not 2.0 here.
        if json.dumps(got) != json.dumps(wanted) or (read.content or "") != message["content"]:
            raise TemplateError(
                f"{what} does not come back as the chat template wrote it: "
                f"{written!r} is read as {read.content or got!r}"
            )


def _check_results(codec: ChatCodec) -> None:
    one, two = mark("result"), mark("second result")
    text = codec.increment_text(_results(one, two))
    if not 0 <= text.find(one) < text.find(two):
        raise TemplateError("the chat template leaves out the results of tools")


def _check_stream(codec: ChatCodec) -> None:
    """Turn by turn, the stream is what the template renders, as text and as tokens."""
    head: list[dict[str, Any]] = [
        {"role": "system", "content": "You help."},
        {"role": "assistant", "content": "Hi! How can I help you today?"},
    ]
    turns: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
        ([{"role": "user", "content": _TEXT}], CALLED),
        (_results('{"a": "b\\n"}'), _calls(("probe_tool", {}), ("second_tool", {}), text="Wait.")),
        (_results("c", " d\n"), CALLED),
        (_results(""), {"role": "assistant", "content": "Is it on?"}),
        ([{"role": "user", "content": " yes \n"}], {"role": "assistant", "content": "Good."}),
        ([{"role": "user", "content": "bye"}], SAID),
    ]
    for tools in (TOOLS, []):
        talk, text = head, codec.head_text(head, tools)
        greeting = codec.answer_text(head[1]) + codec.stop_text
        opening = codec.increment_text([ASKED]).rpartition(ASKED["content"])[2]
        asked = opening.partition(codec.stop_text)[2] or opening
        if not text.endswith(asked.lstrip() + greeting):
            raise TemplateError(
                "the chat template does not show the greeting as the assistant's own first message"
            )
        for new, answer in turns:
            talk = [*talk, *new]
            text += codec.increment_text(new)
            if codec.render(talk, tools, generation_prompt=True) != text:
                raise TemplateError(
                    "the chat template rewrites earlier turns (thinking is cut out, for example), "
                    "so sampled tokens could not be kept as sampled"
                )
            talk = [*talk, answer]
            text += codec.answer_text(answer) + codec.stop_text
        if not codec.render(talk, tools).startswith(text):
            raise TemplateError("the chat template rewrites the last answer of a conversation")
        if codec.trace(talk, tools).ids != codec.encode(text):
            raise TokenizerError(
                "the tokenizer gives other tokens for a conversation than for its turns"
            )
