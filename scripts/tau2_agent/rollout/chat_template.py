"""Messages to tokens and back, without ever re-tokenising what a policy sampled.

The prompt of turn n+1 is the prompt of turn n, then the sampled tokens as sampled, then the tokens
of what came in since. A chat template renders whole conversations only, so an increment is what
the template adds to a short stand-in conversation. That is right for templates that never rewrite
earlier turns; `ChatCodec` checks this when it is made and refuses the others.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tau2.data_model.message import AssistantMessage, Message, ToolCall

from tau2_agent.errors import PipelineError
from tau2_agent.rollout.trajectory import TokenRecord, Turn, as_chat

_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)

_ASKED = {"role": "user", "content": "x"}
_CALLED = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"id": "0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    ],
}


class TemplateError(PipelineError):
    """The tokenizer's chat template cannot be rendered turn by turn."""


class ChatCodec:
    """Renders a conversation incrementally with a tokenizer's own chat template."""

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise TemplateError(
                "the tokenizer has no chat template; use an instruct model, or put a "
                "chat_template.jinja beside its tokenizer.json"
            )
        self.tokenizer = tokenizer
        self.stop_id: int = tokenizer.eos_token_id
        self.stop_text: str = tokenizer.eos_token
        # A model may also end its text with the end-of-document token (Qwen3 lists both).
        ids = [self.stop_id, tokenizer.convert_tokens_to_ids("<|endoftext|>")]
        self.stop_ids = tuple(dict.fromkeys(i for i in ids if isinstance(i, int)))
        self._check_template()

    def prompt(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> list[int]:
        """Token ids of the first prompt, up to where the assistant begins to write."""
        return self._encode(self._render(messages, tools, generation_prompt=True))

    def increment(self, new: list[Message], last_id: int) -> list[int]:
        """Token ids from the end of an assistant turn up to where the next one begins.

        `last_id` is the last id of that turn. A turn that was cut short, or that ended with
        another stop token, is closed with the template's own.
        """
        text = self._increment_text([as_chat(message) for message in new])
        closing = [] if last_id == self.stop_id else [self.stop_id]
        return closing + self._encode(text)

    def answer(self, message: dict[str, Any]) -> list[int]:
        """Token ids that a model would have sampled for an assistant message, stop included."""
        opened = self._render([_ASKED], [], generation_prompt=True)
        whole = self._render([_ASKED, message], [])
        return [*self._encode(whole[len(opened) : whole.rindex(self.stop_text)]), self.stop_id]

    def trace(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> TokenRecord:
        """The token stream an episode with these messages would have had.

        `messages` begin with the system prompt and the greeting; the loss mask is 1 on every later
        assistant message with its stop token, 0 on the greeting and on everything else.
        """
        record = TokenRecord()
        first = next(
            (i for i, m in enumerate(messages) if i > 1 and m["role"] == "assistant"), len(messages)
        )
        record.append_context(self.prompt(messages[:first], tools))
        record.prompt_length = len(record.ids)
        pending: list[dict[str, Any]] = []
        for message in messages[first:]:
            if message["role"] != "assistant":
                pending.append(message)
                continue
            if pending:
                record.append_context(self._encode(self._increment_text(pending)))
                pending = []
            ids = self.answer(message)
            record.append_sampled(Turn(ids, [0.0] * len(ids), "stop"))
        # What follows the last assistant message is never a prompt.
        return record

    def parse(self, token_ids: list[int], first_call: int) -> AssistantMessage:
        """The message that sampled tokens say. Calls are numbered from `first_call`.

        As the servers that tau2's agent talks to do it: calls are taken from complete
        `<tool_call>` blocks that hold a JSON object with a name; text before the first block stays
        beside them; if no block is readable, all of it is text for the user.
        """
        ids = token_ids[:-1] if token_ids and token_ids[-1] in self.stop_ids else token_ids
        text = self.tokenizer.decode(ids, skip_special_tokens=False).strip()
        calls = []
        for block in _CALL.findall(text):
            call = _read_call(block, f"call_{first_call + len(calls)}")
            if call is not None:
                calls.append(call)
        if calls:
            beside = text[: text.index("<tool_call>")].strip()
            return AssistantMessage(role="assistant", content=beside or None, tool_calls=calls)
        return AssistantMessage(role="assistant", content=text)

    def _increment_text(self, new: list[dict[str, Any]]) -> str:
        before = [_ASKED, _CALLED]
        opened, whole = self._render(before, []), self._render(before + new, [], True)
        # The stop token itself belongs to the turn before.
        return whole[opened.rindex(self.stop_text) + len(self.stop_text) :]

    def _render(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], generation_prompt=False
    ) -> str:
        return self.tokenizer.apply_chat_template(
            messages,
            tools=tools or None,
            tokenize=False,
            add_generation_prompt=generation_prompt,
        )

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _check_template(self) -> None:
        tool = {"role": "tool", "content": "r", "tool_call_id": "0"}
        said = {"role": "assistant", "content": "y"}
        talk = [_ASKED, _CALLED, tool, tool, said, _ASKED, said]
        text = self._render([{"role": "system", "content": "s"}, _ASKED], [], True)
        for i, message in enumerate(talk[1:], start=1):
            if message["role"] == "assistant":
                # Through the answer's ids and back would hide what the tokenizer normalises.
                opened = self._render([_ASKED], [], True)
                whole = self._render([_ASKED, message], [])
                text += whole[len(opened) : whole.rindex(self.stop_text)] + self.stop_text
                new = []
                for later in talk[i + 1 :]:
                    if later["role"] == "assistant":
                        break
                    new.append(later)
                if new:
                    text += self._increment_text(new)
        whole = self._render([{"role": "system", "content": "s"}, *talk], [])
        if whole[: len(text)] != text:
            raise TemplateError(
                "the chat template rewrites earlier turns (thinking is cut out, for example), so "
                "sampled tokens could not be kept as sampled; use a template that does not, such "
                "as that of Qwen3-4B-Instruct-2507"
            )


def _read_call(block: str, call_id: str) -> ToolCall | None:
    try:
        call = json.loads(block)
    except ValueError:
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    arguments = call.get("arguments", call.get("parameters", {}))
    if not isinstance(arguments, dict):
        return None
    return ToolCall(id=call_id, name=call["name"], arguments=arguments, requestor="assistant")
