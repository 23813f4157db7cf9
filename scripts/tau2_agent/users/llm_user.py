"""A user that a language model plays, as tau2's own user simulator does.

System prompt, guidelines, tools, flipped roles and stop words are tau2's. There is no thread: a
call waits in the event loop. What the model does wrong is named, and ends the episode: an answer
without content (asked for again as often as tau2 does), a tool that the user does not own,
arguments that are no JSON object. Text beside tool calls goes on record and the calls are carried
out, as in tau2. Arguments that a tool refuses are the tool's to answer.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tau2.data_model.message import (
    Message,
    SystemMessage,
    ToolCall,
    UserMessage,
)
from tau2.data_model.tasks import Task
from tau2.user.base import UserState
from tau2.user.user_simulator import UserSimulator
from tau2.utils.llm_utils import to_litellm_messages

from tau2_agent.benchmark.environment import assistant_tools, user_tools
from tau2_agent.llm.client import LLM, Answer, LLMFailure
from tau2_agent.rollout.trajectory import JobStop, UserFailure

EMPTY_ATTEMPTS = 4  # tau2 asks again three times (DEFAULT_MAX_RETRIES)
_COUNTS = ("retries", "prompt_tokens", "completion_tokens", "cached_tokens")
# What a failed call is called among the failures of a user.
_KINDS = {"timeout": "timed_out", "bad_answer": "server_error"}


class LLMUser:
    """One episode's user. Make a new one for each episode; `llm` is shared by all of them."""

    def __init__(self, task: Task, llm: LLM) -> None:
        self.llm = llm
        simulator = UserSimulator(tools=user_tools(), instructions=str(task.user_scenario))
        prompt = SystemMessage(role="system", content=simulator.system_prompt)
        self.state = UserState(system_messages=[prompt], messages=[])
        self._ids: set[str] = set()
        self._usage: Counter[str] = Counter()
        self._dollars: float | None = 0.0

    async def reply(self, new: list[Message]) -> UserMessage:
        """See `episode.User.reply`. Raises JobStop when no other call can be answered either."""
        self.state.messages.extend(new)
        messages = to_litellm_messages(self.state.system_messages + self.state.flip_roles())
        for _ in range(EMPTY_ATTEMPTS):
            answer = await self._ask(messages)
            content, calls = answer.message["content"], answer.message.get("tool_calls")
            if calls or (content and content.strip()):
                break
        else:
            raise UserFailure("said_nothing", f"{EMPTY_ATTEMPTS} answers without content")
        said = UserMessage(
            role="user",
            content=content,
            tool_calls=[self._tool_call(call) for call in calls] if calls else None,
            usage={
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
            },
            cost=answer.dollars,
        )
        self.state.messages.append(said)
        self._usage["utterances"] += 1
        return said

    def report(self) -> dict[str, Any]:
        """Who played, and what it cost. dollars: None when the model has no known price."""
        return {
            "simulator": "llm",
            "model": self.llm.settings.model,
            **{name: self._usage[name] for name in ("utterances", "calls", *_COUNTS)},
            "dollars": self._dollars,
        }

    async def _ask(self, messages: list[dict[str, Any]]) -> Answer:
        try:
            answer = await self.llm.complete(messages, user_tools())
        except LLMFailure as failure:
            self._usage["retries"] += failure.retries
            if failure.fatal:
                raise JobStop(f"the user simulator: {failure}") from None
            kind = _KINDS.get(failure.kind, failure.kind)
            raise UserFailure(kind, failure.detail) from None
        self._usage["calls"] += 1
        for name in _COUNTS:
            self._usage[name] += getattr(answer, name)
        if self._dollars is not None:
            known = answer.dollars is not None
            self._dollars = self._dollars + answer.dollars if known else None
        return answer

    def _tool_call(self, call: dict[str, Any]) -> ToolCall:
        self._usage["tool_calls"] += 1
        name, text = call["function"]["name"], call["function"]["arguments"]
        if name not in _names(user_tools()):
            owner = "the agent's tool" if name in _names(assistant_tools()) else "unknown tool"
            raise UserFailure("broke_protocol", f"{owner} {name!r}")
        try:
            arguments = json.loads(text or "{}")
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            raise UserFailure("broke_protocol", f"arguments of {name} are no JSON object: {text!r}")
        given = call["id"]
        if not given or given in self._ids:  # some servers give none, or one twice
            given = f"user_call_{self._usage['tool_calls']}"
        self._ids.add(given)
        return ToolCall(id=given, name=name, arguments=arguments, requestor="user")


def _names(tools: list[dict[str, Any]]) -> set[str]:
    return {tool["function"]["name"] for tool in tools}
