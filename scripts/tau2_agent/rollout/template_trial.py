"""Whether a chat template and a tokenizer do what training relies on: tried, not believed.

Everything that a codec does in an episode is done once, with arguments and texts that templates
are known to lose. The first thing that does not come out right is the reason of a TemplateError.
"""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

from tau2_agent.rollout.rendering import Rendering, TemplateError, TokenizerError
from tau2_agent.rollout.template_probes import (
    ARGUMENTS,
    ASKED,
    AWKWARD_TEXTS,
    CALLED,
    EVERY_BYTE,
    LONG,
    MANY_CALLS,
    OTHER_SCHEMAS,
    SAID,
    TEXT,
    TOOLS,
    call_id,
    calls,
    mark,
    results,
)

if TYPE_CHECKING:
    from tau2_agent.rollout.chat_template import ChatCodec


def check_tools(codec: ChatCodec) -> None:
    """The prompt shows what the agent is told, its tools among it. Raises TemplateError."""
    _check_tokenizer(codec)
    texts = {
        "system prompt": f"{mark('system')} {LONG}.",
        "greeting": mark("greeting"),
        "user": mark("user"),
    }
    talk = [
        {"role": role, "content": text}
        for role, text in zip(("system", "assistant", "user"), texts.values(), strict=True)
    ]
    for tools in ([], TOOLS):
        prompt = codec.render(talk, tools, generation_prompt=True)
        for what, text in texts.items():
            if text not in prompt:
                raise TemplateError(f"the chat template leaves out the {what}'s text")
        _check_clock(codec.render, talk, tools)
    for tool in TOOLS:
        function = tool["function"]
        if function["name"] not in prompt or function["description"] not in prompt:
            raise TemplateError(
                "the chat template leaves out the tools: an agent would not know what it can call"
            )
        arguments = function["parameters"]["properties"]
        if (
            not all(name in prompt for name in arguments)
            or mark("argument's description") not in prompt
        ):
            raise TemplateError("the chat template shows tools without the schemas of arguments")
    # How a schema is written is the template's own business, but another one must look different.
    for changed in OTHER_SCHEMAS:
        if codec.render(talk, changed, generation_prompt=True) == prompt:
            raise TemplateError(
                "the chat template shows tools without the schemas of arguments: with other types, "
                "or with no required ones, it looks the same"
            )


def check(codec: ChatCodec) -> None:
    """Everything else. Raises TemplateError with the first thing that is not right."""
    _check_calls(codec)
    _check_results(codec)
    _check_stream(codec)


def _check_clock(render: Rendering, talk: list[dict[str, Any]], tools: list) -> None:
    """Tokens of tomorrow are those of today."""
    if "strftime_now" not in render.template:
        return
    # Numbers, since templates compute with them, and take months from lists of names.
    one, another = (
        Rendering(
            render.tokenizer,
            f"{{% macro strftime_now(f) %}}{now}{{% endmacro %}}{render.template}",
        )
        for now in ("01", "12")
    )
    if one(talk, tools, generation_prompt=True) != another(talk, tools, generation_prompt=True):
        raise TemplateError(
            "the chat template writes today's date into the prompt: a model trained today would be "
            "asked something else tomorrow"
        )


def _check_tokenizer(codec: ChatCodec) -> None:
    swallowing = (
        f"a {token} b"
        for token in codec.tokenizer.added_tokens_decoder.values()
        if (token.lstrip or token.rstrip) and not token.special
    )
    for text in (
        TEXT,
        "  Two  blanks \t and a tab\r\n",
        "“Ａ” – ﬁ ½ …",
        EVERY_BYTE,
        *map(json.dumps, ARGUMENTS.values()),
        *swallowing,
    ):
        back = codec.decode(codec.encode(text))
        if back != text:
            same = next((i for i, (a, b) in enumerate(zip(text, back, strict=False)) if a != b), 0)
            raise TokenizerError(
                "the tokenizer does not give back what it was given: "
                f"{text[same:]!r:.80} becomes {back[same:]!r:.80}"
            )


def _check_calls(codec: ChatCodec) -> None:
    probes = [
        *((what, calls(("probe_tool", arguments))) for what, arguments in ARGUMENTS.items()),
        ("text beside a call", calls(("probe_tool", {"probe_text": "b"}), text="Let me see.")),
        (
            "two calls in one turn",
            calls(("probe_tool", {"probe_text": "b"}), MANY_CALLS[0]),
        ),
        ("several calls in one turn", calls(*MANY_CALLS)),
        ("an answer without a call", {"role": "assistant", "content": TEXT}),
    ]
    for what, message in probes:
        try:
            ids = codec.answer(message)
            read = codec.parse(ids, first_call=0)
        except TemplateError as error:
            raise TemplateError(f"{what}: {error}") from error
        written = codec.answer_text(message).strip()
        if message["content"] not in written:
            raise TemplateError(f"the chat template leaves out {what}")
        if stops := set(ids[:-1]) & set(codec.stop_ids):
            raise TemplateError(
                f"{what} has {codec.decode([stops.pop()])!r} in the middle, at which a model stops"
            )
        if message.get("tool_calls") and call_id(0) in written:
            raise TemplateError(
                "the chat template writes the ids of calls, which a model would have to make up"
            )
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
    text = codec.increment_text(results(one, two))
    if not 0 <= text.find(one) < text.find(two):
        raise TemplateError("the chat template leaves out the results of tools")
    for texts in AWKWARD_TEXTS:
        rest = codec.increment_text(results(*texts))
        for result in filter(None, map(str.strip, texts)):
            # As it is, or as a text within JSON or XML.
            ways = (
                (rest, result),
                (rest, json.dumps(result)[1:-1]),
                (rest, json.dumps(result, ensure_ascii=False)[1:-1]),
                (html.unescape(rest), result),
            )
            found = next((text.partition(way)[2] for text, way in ways if way in text), None)
            if found is None:
                raise TemplateError(
                    "the chat template does not write the result of a tool as it is: "
                    f"{result!r:.80}"
                )
            rest = found


_REWRITES = (
    "the chat template rewrites earlier turns (thinking is cut out, for example), so sampled "
    "tokens could not be kept as sampled"
)


def _check_stream(codec: ChatCodec) -> None:
    """Turn by turn, the stream is what the template renders, as text and as tokens."""
    head: list[dict[str, Any]] = [
        {"role": "system", "content": "You help."},
        {"role": "assistant", "content": "Hi! How can I help you today?"},
    ]
    turns: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
        ([{"role": "user", "content": TEXT}], CALLED),
        (results('{"a": "b\\n"}'), calls(MANY_CALLS[0], ("probe_tool", {}), text="Wait.")),
        (results("c", " d\n"), calls(*MANY_CALLS)),
        (results(*"aabab"), CALLED),
        (results(""), {"role": "assistant", "content": "Is it on?"}),
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
            increment = codec.increment_text(new)
            talk = [*talk, *new]
            whole = codec.render(talk, tools, generation_prompt=True)
            if not whole.startswith(text):
                raise TemplateError(_REWRITES)
            if whole != text + increment:
                raise TemplateError(
                    f"the chat template writes a message of the role {new[0]['role']} otherwise by "
                    "what stands before it: the names or ids of calls, for example"
                )
            text += increment + codec.answer_text(answer) + codec.stop_text
            talk = [*talk, answer]
        if not codec.render(talk, tools).startswith(text):
            raise TemplateError("the chat template rewrites the last answer of a conversation")
        _check_clock(codec.render, talk, tools)
        ids = codec.encode(text)
        if codec.trace(talk, tools).ids != ids:
            raise TokenizerError(
                "the tokenizer gives other tokens for a conversation than for its turns"
            )
        if codec.decode(ids) != text:
            raise TokenizerError("the tokenizer does not give back a conversation as it was")
    # Some templates show the end of a long conversation only.
    again, more = talk[len(head) :], text[len(codec.head_text(head, tools)) :]
    if not codec.render([*talk, *again * 12], tools).startswith(text + more * 12):
        raise TemplateError(_REWRITES)
