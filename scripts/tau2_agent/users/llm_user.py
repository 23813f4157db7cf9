"""A user that a language model plays, as tau2's own user simulator does.

System prompt, guidelines, tools, flipped roles and stop words are tau2's. There is no thread: a
call waits in the event loop. An answer that breaks the protocol is asked for again as often as
tau2 asks for an empty one again; then the failure has a name and ends the episode, which is
nobody's score. Broken is: no content; a tool that the user does not own; arguments that are no
JSON object; a tool call, a thought or a control token written as text (llm/markup.py), which the
agent never hears and whose stop words stop nothing. Text beside tool calls goes on record and the
calls are carried out, as in tau2. Arguments that a tool refuses are the tool's to answer.

A conversation that the user ends while agreeing to what the agent only proposed (upstream issue
297) ends as in tau2, and is counted: `early_stops`.
"""

from __future__ import annotations

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
from tau2_agent.llm.markup import call_arguments, leaked
from tau2_agent.rollout.trajectory import JobStop, UserFailure
from tau2_agent.users.early_stops import stops_early

ATTEMPTS = 4  # tau2 asks again three times (DEFAULT_MAX_RETRIES)
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
        for attempt in range(ATTEMPTS):
            answer = await self._ask(messages)
            try:
                said = self._read(answer)
                break
            except UserFailure:
                if attempt == ATTEMPTS - 1:
                    raise
                self._usage["broken_answers"] += 1
        self._usage["early_stops"] += stops_early(new, said)
        self.state.messages.append(said)
        self._usage["utterances"] += 1
        return said

    def _read(self, answer: Answer) -> UserMessage:
        """The answer as the user's turn. Raises UserFailure if it is none."""
        content, calls = answer.message["content"], answer.message.get("tool_calls")
        if not calls and not (content and content.strip()):
            raise UserFailure("said_nothing", f"{ATTEMPTS} answers without content")
        if fault := leaked(content, _names(user_tools()) | _names(assistant_tools())):
            raise UserFailure("broke_protocol", str(fault))
        return UserMessage(
            role="user",
            content=content,
            tool_calls=[self._tool_call(call) for call in calls] if calls else None,
            usage={
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
            },
            cost=answer.dollars,
        )

    def report(self) -> dict[str, Any]:
        """Who played, and what it cost.

        broken_answers: asked again, since they broke the protocol. early_stops: 1 if the user
        ended the conversation while agreeing to what the agent had not done yet. dollars: None
        when the model has no known price.
        """
        return {
            "simulator": "llm",
            "model": self.llm.settings.model,
            **{name: self._usage[name] for name in ("utterances", "calls", *_COUNTS)},
            **{name: self._usage[name] for name in ("broken_answers", "early_stops")},
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
        arguments = call_arguments(text)
        if arguments is None:
            raise UserFailure("broke_protocol", f"arguments of {name} are no JSON object: {text!r}")
        given = call["id"]
        if not given or given in self._ids:  # some servers give none, or one twice
            given = f"user_call_{self._usage['tool_calls']}"
        self._ids.add(given)
        return ToolCall(id=given, name=name, arguments=arguments, requestor="user")


def _names(tools: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(tool["function"]["name"] for tool in tools)
