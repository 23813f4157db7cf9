"""Messages to tokens and back, without ever re-tokenising what a policy sampled.

The prompt of turn n+1 is the prompt of turn n, then the sampled tokens as sampled, then the tokens
of what came in since. A chat template renders whole conversations only, so an increment is what
the template adds to a short stand-in conversation. That is right for templates that never rewrite
earlier turns. `ChatCodec` tries this, and all else that it relies on, when it is made
(`template_trial`): a codec that exists can be trusted with traces, training and evaluation alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tau2.data_model.message import AssistantMessage, Message, ToolCall

from tau2_agent.rollout import template_trial
from tau2_agent.rollout.call_formats import FORMATS, CallFormat, Types, argument_types
from tau2_agent.rollout.rendering import Rendering, TemplateError, own_template
from tau2_agent.rollout.template_probes import (
    ASKED,
    AWKWARD_TEXTS,
    CALLED,
    SAID,
    TOOLS,
    mark,
)
from tau2_agent.rollout.trajectory import TokenRecord, Turn, as_chat

# Ends of a text that a model may write in place of its template's: of a document (Qwen, Llama 3),
# of a message that a tool is to answer (Llama 3).
_OTHER_STOPS = ("<|endoftext|>", "<|end_of_text|>", "<|eom_id|>")
_THOUGHT, _THOUGHT_END = "<think>", "</think>"


class ChatCodec:
    """Renders a conversation incrementally with a tokenizer's chat template, or with another one.

    `stop_id` ends an answer as the template ends it; `stop_ids` are all that end one, `stop_id`
    first. Raises TemplateError if the template or the tokenizer cannot be used.
    """

    def __init__(self, tokenizer: Any, template: str | None = None) -> None:
        self.tokenizer = tokenizer
        self.render = Rendering(tokenizer, template or own_template(tokenizer))
        # Up to where an answer to `ASKED` begins, and what of it only calls for an answer.
        self._opened = self.render([ASKED], generation_prompt=True)
        self.stop_text, self.stop_id = self._stop()
        eos = tokenizer.eos_token_id
        known = tokenizer.get_vocab()
        others = [eos, *(known.get(token) for token in _OTHER_STOPS)]
        self.stop_ids = tuple(
            dict.fromkeys([self.stop_id, *(i for i in others if isinstance(i, int))])
        )
        self._joints: dict[str, _Joint | None] = {}
        self._head: tuple[list, list, list[int]] = ([], [], [])
        template_trial.check_tools(self)
        self.call_format, self._types = self._call_format()
        self._joints = {role: self._joint(role) for role in ("user", "tool")}
        template_trial.check(self)

    # --- conversations to tokens

    def prompt(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> list[int]:
        """Token ids of the first prompt, up to where the assistant begins to write.

        What stands before the user's first message is the same in all episodes, and long: its ids
        are kept.
        """
        *head, last = messages
        if last["role"] != "user" or not head or head[-1]["role"] != "assistant":
            return self.encode(self.render(messages, tools, generation_prompt=True))
        if head != self._head[0] or tools != self._head[1]:
            ids = self.encode(self.head_text(head, tools))
            self._head = ([dict(message) for message in head], list(tools), ids)
        return [*self._head[2], *self.encode(self.increment_text([last]))]

    def increment(self, new: list[Message], last_id: int) -> list[int]:
        """Token ids from the end of an assistant turn up to where the next one begins.

        `last_id` is the last id of that turn. A turn that was cut short, or that ended with
        another stop token, is closed with the template's own.
        """
        return self._increment([as_chat(message) for message in new], last_id)

    def answer(self, message: dict[str, Any]) -> list[int]:
        """Token ids that a model would have sampled for an assistant message, stop included."""
        return [*self.encode(self.answer_text(message)), self.stop_id]

    def trace(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        sampled: list[list[int]] | None = None,
    ) -> TokenRecord:
        """The token stream an episode with these messages would have had.

        `messages` begin with the system prompt and the greeting; the loss mask is 1 on every later
        assistant message with its stop token, 0 on the greeting and on everything else. sampled:
        the token ids of each such message where a policy wrote it (`check_sampled`); None: as
        the template would have them written.
        """
        record = TokenRecord()
        first = next(
            (i for i, m in enumerate(messages) if i > 1 and m["role"] == "assistant"), len(messages)
        )
        record.append_context(self.prompt(messages[:first], tools))
        record.prompt_length = len(record.ids)
        pending: list[dict[str, Any]] = []
        written = iter(sampled or ())
        for message in messages[first:]:
            if message["role"] != "assistant":
                pending.append(message)
                continue
            if pending:
                record.append_context(self._increment(pending, record.ids[-1]))
                pending = []
            ids = self.answer(message) if sampled is None else next(written)
            record.append_sampled(Turn(ids, [0.0] * len(ids), "stop"))
        # What follows the last assistant message is never a prompt.
        return record

    # --- tokens to messages

    def parse(self, token_ids: list[int], first_call: int) -> AssistantMessage:
        """The message that sampled tokens say. Calls are numbered from `first_call`.

        As the servers that tau2's agent talks to do it: reasoning is nobody's to read; text before
        the first call stays beside the calls; if no call is readable, all of it is text for the
        user. The tokens stay in the stream as they were sampled.
        """
        ids = token_ids[:-1] if token_ids and token_ids[-1] in self.stop_ids else token_ids
        text = self.decode(ids).strip()
        if text.startswith(_THOUGHT) or self._opened.rstrip().endswith(_THOUGHT):
            text = text.partition(_THOUGHT_END)[2].strip()
        reading = self.call_format.read(text, self._types)
        if reading is None:
            return AssistantMessage(role="assistant", content=text)
        beside, calls = reading
        return AssistantMessage(
            role="assistant",
            content=beside.strip() or None,
            tool_calls=[
                ToolCall(id=f"call_{number}", name=name, arguments=arguments, requestor="assistant")
                for number, (name, arguments) in enumerate(calls, start=first_call)
            ],
        )

    def check_sampled(self, messages: list[dict[str, Any]], sampled: list[list[int]]) -> None:
        """Raise ValueError unless these tokens say what the assistant's messages say.

        messages, sampled: as `trace` takes them. Tokens of another tokenizer say something else.
        """
        answers = [message for message in messages[2:] if message["role"] == "assistant"]
        if len(sampled) != len(answers):
            raise ValueError(f"{len(sampled)} turns of tokens for {len(answers)} messages")
        calls = 0
        for number, (ids, message) in enumerate(zip(sampled, answers, strict=True), start=1):
            said = as_chat(self.parse(ids, first_call=calls))
            calls += len(said.get("tool_calls", []))
            if said != message:
                raise ValueError(f"the tokens of turn {number} say {said!r:.200}")

    # --- text

    def head_text(self, head: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
        """A conversation up to the stop token of its last message, an assistant's."""
        # With a user's message behind it: some templates want one.
        whole = self.render([*head, ASKED], tools, generation_prompt=True)
        behind = self.increment_text([ASKED])
        if not whole.endswith(self.stop_text + behind):
            raise TemplateError(
                "the chat template writes the user's first message otherwise than later ones"
            )
        return whole.removesuffix(behind)

    def answer_text(self, message: dict[str, Any]) -> str:
        """What a model writes for an assistant message, without the stop token."""
        whole = self.render([ASKED, message])
        if not whole.startswith(self._opened):
            raise TemplateError(
                "the chat template rewrites earlier turns: what it shows of a past answer is not "
                "what stood before it when it was asked for (thinking is cut out, for example)"
            )
        end = whole.rfind(self.stop_text)
        if end < len(self._opened):
            kind = "a tool call" if message.get("tool_calls") else "an answer"
            raise TemplateError(
                f"the chat template does not end {kind} with {self.stop_text!r}, as it does others"
            )
        return whole[len(self._opened) : end]

    def increment_text(self, new: list[dict[str, Any]]) -> str:
        """What follows an answer's stop token, up to where the next answer begins."""
        joint = self._joints.get(new[0]["role"]) if new else None
        text = joint.text(new) if joint else None
        return self._rendered_increment(new) if text is None else text

    def encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def _increment(self, new: list[dict[str, Any]], last_id: int) -> list[int]:
        closing = [] if last_id == self.stop_id else [self.stop_id]
        return closing + self.encode(self.increment_text(new))

    def _rendered_increment(self, new: list[dict[str, Any]]) -> str:
        before = [ASKED, CALLED if new and new[0]["role"] == "tool" else SAID]
        ended = self._until_stop(self.render(before))
        whole = self.render(before + new, generation_prompt=True)
        if not whole.startswith(ended):
            raise TemplateError(
                "the chat template rewrites earlier turns: with a message more, those before it "
                "look different (thinking is cut out, for example)"
            )
        return whole[len(ended) :]

    def _until_stop(self, text: str) -> str:
        return text[: text.rindex(self.stop_text) + len(self.stop_text)]

    # --- what the template shows of itself

    def _stop(self) -> tuple[str, int]:
        """The token that the template puts behind an answer, as text and id."""
        answer = mark("answer")
        whole = self.render([ASKED, {"role": "assistant", "content": answer}])
        _, found, rest = whole.partition(answer)
        if not found:
            raise TemplateError("the chat template leaves out an assistant's text")
        tokens = {str(token): i for i, token in self.tokenizer.added_tokens_decoder.items()}
        behind = [token for token in tokens if token and rest.startswith(token)]
        if not behind:
            seen = f"{rest[:20]!r} is no single token here" if rest.strip() else "nothing"
            raise TemplateError(
                f"the chat template ends an answer with no stop token (what follows it: {seen})"
            )
        stop = max(behind, key=len)
        return stop, tokens[stop]

    def _call_format(self) -> tuple[CallFormat, Types]:
        """The format that reads what the template writes, with what it must know of tools."""
        function = CALLED["tool_calls"][0]["function"]
        written = self.answer_text(CALLED)
        types = argument_types(TOOLS)
        for form in FORMATS:
            reading = form.read(written.strip(), types)
            if reading and reading[1] == [(function["name"], function["arguments"])]:
                if not form.typed:
                    return form, {}
                from tau2_agent.benchmark.environment import assistant_tools

                return form, types | argument_types(assistant_tools())
        if function["name"] not in written:
            raise TemplateError("the chat template leaves out an assistant's tool calls")
        raise TemplateError(
            f"the chat template writes a tool call as {written.strip()!r}, a format that is not "
            f"read here (those that are: {', '.join(form.name for form in FORMATS)})"
        )

    def _joint(self, role: str) -> _Joint | None:
        """How messages of a role are written, if it is their text with constant text around."""

        def rendered(texts: list[str]) -> str:
            return self._rendered_increment(
                [
                    {"role": role, "content": text, "tool_call_id": f"probe{number}"}
                    for number, text in enumerate(texts)
                ]
            )

        one, two = mark("first message"), mark("second message")
        opening, found, closing = rendered([one]).partition(one)
        between = rendered([one, two]).removeprefix(opening + one).removesuffix(two + closing)
        joint = _Joint(role, opening, between, closing)
        for texts in AWKWARD_TEXTS:
            messages = [{"role": role, "content": text} for text in texts]
            if not found or joint.text(messages) != rendered(texts):
                return None
        return joint


@dataclass(frozen=True)
class _Joint:
    """Constant text around messages of a role that follow an answer."""

    role: str
    opening: str
    between: str
    closing: str

    def text(self, new: list[dict[str, Any]]) -> str | None:
        """The messages in the template's words; None if they are not all plain text of the role."""
        texts = [message["content"] for message in new if message["role"] == self.role]
        if len(texts) < len(new) or not all(isinstance(text, str) for text in texts):
            return None
        return self.opening + self.between.join(texts) + self.closing
