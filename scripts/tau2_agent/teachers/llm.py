"""A language model as the agent of an episode: tau2's own agent, asynchronous.

It gets tau2's official system prompt and the agent's tool schemas, in tau2's order, and the
conversation as tau2 shows it to an agent. Left out: prompts of our own, and what its answers are
good for (rejection_sampling.py keeps them, trace_checks.py says which can be taught).
"""

from __future__ import annotations

from typing import Any

from tau2.data_model.message import AssistantMessage, Message, ToolCall

from tau2_agent.benchmark.environment import assistant_tools, system_prompt
from tau2_agent.llm.client import LLM, LLMFailure
from tau2_agent.llm.markup import call_arguments
from tau2_agent.rollout.trajectory import (
    EndReason,
    EpisodeEnd,
    JobStop,
    PolicyFailure,
    TokenRecord,
    as_chat,
)

EMPTY_ANSWERS = 3  # asked again so often, as tau2 does (its DEFAULT_MAX_RETRIES)


class LLMTeacher:
    """One episode's agent. Make a new one for each episode; `llm` is shared by all of them.

    Tool-call arguments that are no JSON object end the episode as the agent's error, as in tau2.
    """

    tokens: TokenRecord | None = None

    def __init__(self, llm: LLM) -> None:
        self.llm = llm
        self._talk = [{"role": "system", "content": system_prompt("tau2")}]
        self._calls = 0
        self._report: dict[str, Any] = {
            "model": llm.settings.model,
            "calls": 0,
            "retries": 0,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "cached_tokens": 0,
            "dollars": 0.0,
        }

    async def act(self, new: list[Message]) -> AssistantMessage:
        """See `episode.Agent.act`. Raises JobStop when no other call can be answered either."""
        self._talk += [_request_form(as_chat(message)) for message in new]
        for _ in range(EMPTY_ANSWERS + 1):
            message = self._read(await self._ask())
            if message.has_text_content() or message.is_tool_call():
                break
        self._talk.append(_request_form(as_chat(message)))
        return message

    def report(self) -> dict[str, Any]:
        """What the episode's answers cost; dollars are None when the model has no known price."""
        return dict(self._report)

    async def _ask(self) -> dict[str, Any]:
        try:
            answer = await self.llm.complete(self._talk, assistant_tools())
        except LLMFailure as failure:
            self._report["retries"] += failure.retries
            if failure.fatal:
                raise JobStop(f"the teacher: {failure}") from None
            raise PolicyFailure(str(failure)) from None
        report = self._report
        report["calls"] += 1
        for name in ("retries", "prompt_tokens", "completion_tokens", "cached_tokens"):
            report[name] += getattr(answer, name)
        if answer.dollars is None or report["dollars"] is None:
            report["dollars"] = None
        else:
            report["dollars"] += answer.dollars
        return answer.message

    def _read(self, answer: dict[str, Any]) -> AssistantMessage:
        calls = []
        given = answer.get("tool_calls") or []
        ids = [call.get("id") for call in given]
        for call in given:
            self._calls += 1
            function = call["function"]
            # Some servers give no ids, or one id to all.
            named = call.get("id") and ids.count(call["id"]) == 1
            calls.append(
                ToolCall(
                    id=call["id"] if named else f"call_{self._calls}",
                    name=function["name"] or "",
                    arguments=_arguments(function["name"], function["arguments"]),
                    requestor="assistant",
                )
            )
        return AssistantMessage(
            role="assistant", content=answer.get("content"), tool_calls=calls or None
        )


def _arguments(name: str, text: str | None) -> dict[str, Any]:
    arguments = call_arguments(text)
    if arguments is None:
        raise EpisodeEnd(
            EndReason.AGENT_ERROR, f"the arguments of {name} are no JSON object: {text!r:.200}"
        )
    return arguments


def _request_form(message: dict[str, Any]) -> dict[str, Any]:
    """No text beside tool calls is null, as providers write it themselves; some refuse ""."""
    if message.get("tool_calls") and not message["content"]:
        return message | {"content": None}
    return message
