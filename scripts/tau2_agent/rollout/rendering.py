"""A chat template as a function from messages to text, whose every failure is one line."""

from __future__ import annotations

import json
from typing import Any

from tau2_agent.errors import PipelineError


class TemplateError(PipelineError):
    """A model's chat template or tokenizer cannot be used turn by turn; the message says why."""


class TokenizerError(TemplateError):
    """The tokenizer is at fault: no template would help."""


def own_template(tokenizer: Any) -> str:
    """The one template of a tokenizer: of several with names, the one for tools.

    Some models list templates by name; "tool_use" is for conversations with tools, "default" for
    all others. An agent always has tools, so one of them is used throughout.
    """
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, list):  # as tokenizer_config.json has them
        template = {entry["name"]: entry["template"] for entry in template}
    if isinstance(template, dict):
        for name in ("tool_use", "default"):
            if name in template:
                return template[name]
        raise TemplateError(
            f"of the chat templates {', '.join(sorted(template))} none is named tool_use or default"
        )
    if not template:
        raise TemplateError("there is no chat template: this is a base model, not one for chats")
    return template


class Rendering:
    """Renders messages with one chat template of a tokenizer."""

    def __init__(self, tokenizer: Any, template: str) -> None:
        self.tokenizer = tokenizer
        self.template = template

    def __call__(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None = None,
        generation_prompt: bool = False,
    ) -> str:
        """The text of a conversation. Raises TemplateError, whatever the template does."""
        prepared = [_with_objects(message) for message in messages]
        try:
            return self.tokenizer.apply_chat_template(
                prepared,
                tools=tools or None,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=generation_prompt,
            )
        except Exception as error:  # a template is a program of someone else: anything can happen
            roles = ", ".join(message["role"] for message in messages)
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise TemplateError(
                f"the chat template fails on messages of {roles}: {lines[0]}"
            ) from error


def _with_objects(message: dict[str, Any]) -> dict[str, Any]:
    """The message with its calls' arguments as objects.

    Traces keep them as JSON text. Many templates (Qwen2.5, Llama 3) write `arguments | tojson`,
    which would quote that text once more.
    """
    if not message.get("tool_calls"):
        return message
    calls = []
    for call in message["tool_calls"]:
        function = call["function"]
        arguments = function["arguments"]
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except ValueError:
                arguments = None
        if not isinstance(arguments, dict):
            raise TemplateError(
                f"a call to {function['name']} has arguments that are no JSON object: "
                f"{function['arguments']!r}"
            )
        calls.append({**call, "function": {**function, "arguments": arguments}})
    return {**message, "tool_calls": calls}
