"""The forms in which others write a conversation, brought into OpenAI's.

tau2's simulations hold both sides: what the user did on the phone, which no agent sees, is left
out, calls lie flat, and results carry the id of their call as `id`. Others write arguments as
text or as objects, ids as numbers or not at all, and lists as JSON in text. What a conversation
says of its own success is gathered from wherever it says so. Left out: what of this can be trained
on (trace_checks.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tau2_agent.benchmark.environment import domain_policy, prompt_tools, system_prompt

_TEXTS = ("messages", "tools", "metadata", "info", "extra_info", "reward_info")
_PLACES = ("metadata", "info", "extra_info", "reward_info")  # where else a trace says how it went
_SUCCESS = ("success", "solved", "passed")
_ENDS = ("end", "termination_reason", "end_reason")


def as_trace(row: Any, info: dict[str, Any] | None = None) -> Any:
    """A row of a source in OpenAI's form; what is no trace comes back as it is.

    info: of the tau2 run that the row belongs to. If its agent and policy are tau2's own, the
    system prompt and the tool schemas, which tau2 does not write down, are known.
    """
    if not isinstance(row, dict):
        return row
    row = row | {name: _from_text(row[name]) for name in _TEXTS if isinstance(row.get(name), str)}
    if not isinstance(row.get("messages"), list):
        return row
    messages = list(_messages(row["messages"]))
    _name_calls(messages)
    trace = row | {"messages": messages}
    if info is not None and _official(info):
        trace["messages"] = [{"role": "system", "content": system_prompt("tau2")}, *messages]
        trace["tools"] = prompt_tools("tau2")
    return trace


def rewards(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(Where it is said, reward) for each reward that a row gives itself; success counts as one."""
    for place, said in _said(row):
        for name in ("reward", *_SUCCESS):
            if said.get(name) is not None:
                yield f"{place}{name}", said[name]


def ends(row: dict[str, Any]) -> Iterator[str]:
    """Each name that a row gives to the end of its conversation."""
    for _, said in _said(row):
        for name in _ENDS:
            if isinstance(said.get(name), str) and said[name]:
                yield said[name]


def _said(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "", row
    for place in _PLACES:
        if isinstance(row.get(place), dict):
            yield f"{place}.", row[place]


def _official(info: dict[str, Any]) -> bool:
    agent, environment = info.get("agent_info"), info.get("environment_info")
    return (
        isinstance(agent, dict)
        and isinstance(environment, dict)
        and agent.get("implementation") == "llm_agent"
        and environment.get("policy") == domain_policy()
    )


def _from_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _messages(given: list[Any]) -> Iterator[Any]:
    """The messages that the agent saw or wrote."""
    for message in given:
        if not isinstance(message, dict):
            yield message
        elif isinstance(message.get("tool_messages"), list):  # tau2's MultiToolMessage
            yield from _messages(message["tool_messages"])
        elif message.get("role") == "tool":
            if message.get("requestor") != "user":
                yield _result(message)
        elif message.get("role") == "user":
            if not message.get("tool_calls"):
                yield message
        elif message.get("role") == "assistant" and isinstance(message.get("tool_calls"), list):
            yield message | {"tool_calls": [_call(call) for call in message["tool_calls"]]}
        else:
            yield message


def _result(message: dict[str, Any]) -> dict[str, Any]:
    call_id = message.get("tool_call_id", message.get("id"))
    changed: dict[str, Any] = {"tool_call_id": _as_id(call_id)}
    if "content" in message and message["content"] is None:  # a tool of tau2 that returns nothing
        changed["content"] = ""
    return message | changed


def _call(call: Any) -> Any:
    if not isinstance(call, dict):
        return call
    flat = {name: call[name] for name in ("name", "arguments") if name in call}
    function = call["function"] if isinstance(call.get("function"), dict) else flat
    return {"id": _as_id(call.get("id")), "function": function}


def _as_id(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _name_calls(messages: list[Any]) -> None:
    """Give calls without an id one, and the results behind them, which answer in order."""
    number = 0
    waiting: list[str] = []
    for message in messages:
        if not isinstance(message, dict):
            continue
        if message.get("role") == "tool":
            named = waiting.pop(0) if waiting else ""
            if named and not message.get("tool_call_id"):
                message["tool_call_id"] = named
            continue
        waiting = []
        for call in message.get("tool_calls") or []:
            if not isinstance(call, dict):
                continue
            number += 1
            if not call["id"]:
                call["id"] = f"call_{number}"
            waiting.append(call["id"])
