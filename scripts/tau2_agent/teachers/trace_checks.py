"""Whether a conversation can be trained on, and if not, why.

A trace is good when SFT sees in it what an episode shows the model: the same system prompt, tool
schemas and greeting, turns in an episode's order, calls of the agent's own tools with arguments
that fit, every call answered, no markup in what is said, and no more tokens than training takes.
It is held against its own words: what says that it failed is not taught. `checked` returns it in
the one form that teacher_traces.py writes.

Left out: other forms (trace_forms.py), whether a reward that a trace claims is true (the user's own
tool calls are not in it, so it cannot be played again), and leaks (check_leakage.py compares task
ids).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import ValidationError

from tau2_agent.benchmark.environment import (
    assistant_tools,
    prompt_tools,
    system_prompt,
    user_tools,
)
from tau2_agent.benchmark.tasks import UnknownTask, get_task
from tau2_agent.errors import first_problem
from tau2_agent.llm.markup import leaked
from tau2_agent.records.episode_row import SOLVED
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import GREETING, OUT_OF_SCOPE, STOP, TRANSFER
from tau2_agent.rollout.trajectory import OFFICIAL_ENDS
from tau2_agent.teachers.trace_forms import ends, rewards
from tau2_agent.teachers.trace_schema import Trace

# Ends without success, tau2's and others'.
_FAILED = re.compile(
    r"max|limit|length|error|time_?d?_?out|trunc|abort|fail|crash|cancel|filter|judge_stop"
)
_OF_SERVERS = {"stop", "end_turn", "tool_calls", "tool_use", "eos"}  # the end of a last answer
_STOPS = (STOP, TRANSFER, OUT_OF_SCOPE)
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
    served: a language model of ours wrote it, whose server may be told of markup.
    """

    prompt: str
    replace_prompt: bool = False
    codec: ChatCodec | None = None
    max_length: int | None = None
    served: bool = False


def checked(row: Any, rules: TraceRules) -> dict[str, Any]:
    """Return a trace in the form of a trace file. Raises RejectedTrace with the first fault."""
    try:
        trace = Trace.model_validate(row)
    except ValidationError as error:
        raise RejectedTrace("schema", first_problem(error)) from None
    task_id = _task_id(trace)
    reward, end = _own_words(row)
    messages = [message.as_chat() for message in trace.messages]
    tools = trace.tools or []
    if rules.replace_prompt:
        messages, tools = _replaced(messages, rules.prompt), prompt_tools(rules.prompt)
    else:
        _check_prompt(messages, tools, rules.prompt)
    _check_turns(messages)
    _check_words_and_calls(messages, rules.served)
    if rules.codec is not None and rules.max_length is not None:
        length = len(rules.codec.trace(messages, tools).ids)
        if length > rules.max_length:
            raise RejectedTrace("length", f"{length} tokens, at most {rules.max_length} are taken")
    return {
        "task_id": task_id,
        "reward": reward,
        "end": end,
        "steps": trace.steps,
        "messages": messages,
        "tools": tools,
    }


def _task_id(trace: Trace) -> str:
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


def _own_words(row: dict[str, Any]) -> tuple[float | None, str | None]:
    """Reward and end as the trace gives them itself; None where it does not say."""
    reward = None
    for place, said in rewards(row):
        try:
            reward = float(said)
        except (TypeError, ValueError):
            raise RejectedTrace("schema", f"{place}: {said!r:.80} is no number") from None
        if not math.isfinite(reward):
            raise RejectedTrace("schema", f"{place}: {said!r} is no finite number")
        if reward < SOLVED:
            raise RejectedTrace("reward", f"{place} {reward:g}; only solved tasks are taught")
    end = None
    for said in ends(row):
        unknown = said not in OFFICIAL_ENDS | _OF_SERVERS
        if _FAILED.search(said) or (unknown and reward is None):
            good = " or ".join(sorted(OFFICIAL_ENDS))
            raise RejectedTrace("end", f"it ended by {said!r:.80}; tau2 solves only by {good}")
        if said in OFFICIAL_ENDS or (unknown and end is None):
            end = said
    return reward, end


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
        if stop := next((stop for stop in _STOPS if stop in message["content"]), None):
            if role == "assistant":
                raise RejectedTrace("markup", f"message {number} has {stop}, the user's word")
            if role == "user" and number < len(messages):
                raise RejectedTrace("order", f"message {number} has {stop}: the user ended there")
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


def _check_words_and_calls(messages: list[dict], served: bool) -> None:
    """What is taught: words without markup, calls that the environment can carry out."""
    for number, message in enumerate(messages[2:], start=3):
        if message["role"] != "assistant":
            continue
        if fault := leaked(message["content"], _owned() | _of_the_user()):
            found = str(fault) if served else fault.what
            raise RejectedTrace("markup", f"message {number} has {found}")
        for call in message.get("tool_calls", []):
            _check_call(f"message {number}", call["function"])


def _check_call(place: str, function: dict[str, str]) -> None:
    name = function["name"]
    if name not in _owned():
        why = "the user's tool" if name in _of_the_user() else "which does not exist"
        raise RejectedTrace("tools", f"{place} calls {name!r:.80}, {why}")
    errors = _arguments_of(name).iter_errors(json.loads(function["arguments"]))
    if error := best_match(errors):
        raise RejectedTrace("arguments", f"{place}, {name}: {error.message:.160}")


@lru_cache(maxsize=1)
def _owned() -> frozenset[str]:
    return frozenset(tool["function"]["name"] for tool in assistant_tools())


@lru_cache(maxsize=1)
def _of_the_user() -> frozenset[str]:
    return frozenset(tool["function"]["name"] for tool in user_tools())


@lru_cache
def _arguments_of(name: str) -> Draft202012Validator:
    (schema,) = (
        tool["function"]["parameters"]
        for tool in assistant_tools()
        if tool["function"]["name"] == name
    )
    # tau2's schemas do not say so, but a tool that is given more raises.
    return Draft202012Validator({**schema, "additionalProperties": False})
