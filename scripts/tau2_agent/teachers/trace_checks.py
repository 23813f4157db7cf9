"""Whether a conversation can be trained on, and if not, why.

A trace is good when SFT sees in it what an episode shows the model: the same system prompt, tool
schemas and greeting, turns in an episode's order, every tool call answered, and no more tokens than
training takes. `checked` returns it in the one form that teacher_traces.py writes.

Left out: whether a reward that a trace claims is true (the user's own tool calls are not in
it, so it cannot be played again), and leaks (check_leakage.py compares task ids).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.benchmark.tasks import UnknownTask, get_task
from tau2_agent.records.episode_row import SOLVED, first_problem
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import GREETING

GREETED = {"role": "assistant", "content": GREETING}


class RejectedTrace(ValueError):
    """A trace that cannot be trained on. `kind` is a short name that reports count by."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True)
class TraceRules:
    """What traces are held against.

    prompt: name of the system prompt that the trained model will see.
    replace_prompt: put it, its tool schemas and tau2's greeting where the trace has others.
    codec, max_length: the trained model's chat format, and the most tokens; None: not checked.
    """

    prompt: str
    replace_prompt: bool = False
    codec: ChatCodec | None = None
    max_length: int | None = None


def checked(row: Any, rules: TraceRules) -> dict[str, Any]:
    """Return a trace in the form of a trace file. Raises RejectedTrace with the first fault."""
    try:
        trace = _Trace.model_validate(row)
    except ValidationError as error:
        raise RejectedTrace("schema", first_problem(error)) from None
    task_id = _task_id(trace)
    if trace.reward is not None and trace.reward < SOLVED:
        raise RejectedTrace("reward", f"reward {trace.reward:g}; only solved tasks are taught")
    messages = [message.as_chat() for message in trace.messages]
    tools = trace.tools or []
    if rules.replace_prompt:
        messages, tools = _replaced(messages, rules.prompt), prompt_tools(rules.prompt)
    else:
        _check_prompt(messages, tools, rules.prompt)
    _check_turns(messages)
    if rules.codec is not None and rules.max_length is not None:
        length = len(rules.codec.trace(messages, tools).ids)
        if length > rules.max_length:
            raise RejectedTrace("length", f"{length} tokens, at most {rules.max_length} are taken")
    return {
        "task_id": task_id,
        "reward": trace.reward,
        "end": trace.end,
        "steps": trace.steps,
        "messages": messages,
        "tools": tools,
    }


def _task_id(trace: _Trace) -> str:
    task_id = trace.task_id or (trace.metadata or {}).get("task_id")
    if not isinstance(task_id, str):
        raise RejectedTrace(
            "task_id", "no task_id; without one it cannot be checked against the held-out tasks"
        )
    try:
        get_task(task_id)
    except UnknownTask:
        raise RejectedTrace("task_id", f"no task has the id {task_id!r}") from None
    return task_id


def _check_prompt(messages: list[dict], tools: list[dict], prompt: str) -> None:
    """The trained model will see exactly this before the user's first words."""
    remedy = "replace_prompt puts the right one there"
    if not messages or messages[0] != {"role": "system", "content": system_prompt(prompt)}:
        raise RejectedTrace("prompt", f"another system prompt than {prompt!r}; {remedy}")
    if messages[1:2] != [GREETED]:
        raise RejectedTrace("prompt", f"the second message is not tau2's greeting; {remedy}")
    if tools != prompt_tools(prompt):
        raise RejectedTrace("prompt", f"other tool schemas than those of {prompt!r}; {remedy}")


def _replaced(messages: list[dict], prompt: str) -> list[dict]:
    rest = messages[1:] if messages and messages[0]["role"] == "system" else list(messages)
    if rest and rest[0]["role"] == "assistant" and "tool_calls" not in rest[0]:
        rest = rest[1:]  # said before the user said anything: a greeting
    return [{"role": "system", "content": system_prompt(prompt)}, GREETED, *rest]


def _check_turns(messages: list[dict]) -> None:
    """An episode's order: user, then assistant; tool calls, then all of their results, in order."""
    open_calls: list[str] = []
    expected = {"user"}
    trained = 0
    for number, message in enumerate(messages[2:], start=3):
        role = message["role"]
        if role not in expected:
            wanted = " or ".join(sorted(expected))
            raise RejectedTrace("order", f"message {number} is of {role}, expected {wanted}")
        if role == "tool":
            if message["tool_call_id"] != open_calls[0]:
                raise RejectedTrace(
                    "tool_calls",
                    f"message {number} answers {message['tool_call_id']!r}, "
                    f"{open_calls[0]!r} is to be answered",
                )
            open_calls.pop(0)
            expected = {"tool"} if open_calls else {"assistant"}
        elif role == "assistant":
            trained += 1
            open_calls = [call["id"] for call in message.get("tool_calls", [])]
            if len(set(open_calls)) < len(open_calls):
                raise RejectedTrace("tool_calls", f"message {number} uses a tool call id twice")
            expected = {"tool"} if open_calls else {"user"}
        else:
            expected = {"assistant"}
    if open_calls:
        raise RejectedTrace("tool_calls", f"no answer to the tool call {open_calls[0]!r}")
    if not trained:
        raise RejectedTrace("no_assistant_turn", "no turn of the assistant after the greeting")


# --- The schema ---
class _Function(BaseModel):
    name: str = Field(min_length=1)
    arguments: dict[str, Any]

    @field_validator("arguments", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"no JSON: {error}") from None


class _Call(BaseModel):
    id: str = Field(min_length=1)
    function: _Function


class _System(BaseModel):
    role: Literal["system"]
    content: str

    def as_chat(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content}


class _User(BaseModel):
    role: Literal["user"]
    content: str = Field(min_length=1)

    def as_chat(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content}


class _Assistant(BaseModel):
    role: Literal["assistant"]
    content: str | None = None
    tool_calls: list[_Call] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.content or "").strip() and not self.tool_calls:
            raise ValueError("neither text nor a tool call")
        return self

    def as_chat(self) -> dict[str, Any]:
        chat: dict[str, Any] = {"role": self.role, "content": self.content or ""}
        if self.tool_calls:
            chat["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.function.name,
                        "arguments": json.dumps(call.function.arguments, ensure_ascii=False),
                    },
                }
                for call in self.tool_calls
            ]
        return chat


class _Tool(BaseModel):
    role: Literal["tool"]
    content: str
    tool_call_id: str

    def as_chat(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content, "tool_call_id": self.tool_call_id}


_Message = Annotated[_System | _User | _Assistant | _Tool, Field(discriminator="role")]


class _Trace(BaseModel):
    messages: list[_Message]
    tools: list[dict[str, Any]] | None = None
    task_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    reward: FiniteFloat | None = None
    end: str | None = None
    steps: int | None = None
