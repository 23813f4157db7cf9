"""The forms in which others write a conversation, brought into OpenAI's.

tau2's simulations hold both sides: what the user did on the phone, which no agent sees, is left
out, calls lie flat, and results carry the id of their call as `id`. Others write arguments as
text or as objects, ids as numbers or not at all, and lists as JSON in text. What a conversation
says of its own success is gathered from wherever it says so. Left out: what of this can be trained
on (trace_checks.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tau2_agent.benchmark.environment import domain_policy, prompt_tools, system_prompt

_TEXTS = ("messages", "tools", "metadata", "info", "extra_info", "reward_info")
# Words in which others say how a conversation went, wherever in a row they stand.
_REWARD = re.compile(
    r"(?:final_|total_|task_|episode_|mean_)?rewards?"
    r"|(?:is_|task_)?(?:success|successful|solved|pass|passed|correct|resolved)"
)
_SCORE = re.compile(r"(?:final_|total_|task_)?scores?")
_OUTCOME = re.compile(r"(?:final_|task_)?(?:result|outcome|status|verdict)")
_END = re.compile(r"end|(?:end|termination|stop|finish|done|exit)_reason|termination")
_YES, _NO = {"true", "yes", "success", "passed"}, {"false", "no", "failed", "failure", "fail"}
_DEPTH = 4
# Parts of a row that say nothing of the whole: tau2 gives each check a reward of its own.
_NOT_IN = {"messages", "tools", "task", "tasks", "user_scenario"}


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
    """(Where it is said, reward) for each reward that a row gives itself; success counts as one.

    A score counts where no reward is said: it may be on a scale of its own.
    """
    said = [(place, name, _as_number(value)) for place, name, value in _said(row)]
    found = [(place, value) for place, name, value in said if _REWARD.fullmatch(name)]
    found = found or [(place, value) for place, name, value in said if _SCORE.fullmatch(name)]
    yield from found
    for place, name, value in said:
        if _OUTCOME.fullmatch(name) and value in (0.0, 1.0):
            yield place, value


def ends(row: dict[str, Any]) -> Iterator[str]:
    """Each name that a row gives to the end of its conversation, as tau2 spells such names."""
    for _, name, value in _said(row):
        if _END.fullmatch(name) and isinstance(value, str) and value:
            yield re.sub(r"[\s-]+", "_", value.rpartition(".")[2].strip().lower())
        elif name == "truncated" and value is True:
            yield name


def _said(row: dict[str, Any], place: str = "", depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    """(Place, key in small letters, value) of what a row says of itself, not in its messages."""
    for key, value in row.items():
        name = str(key).lower()
        if isinstance(value, dict):
            # What a reward is made of is no reward.
            below = depth + 1 if name != "reward_info" else _DEPTH
            if name not in _NOT_IN and depth < _DEPTH:
                yield from _said(value, f"{place}{key}.", below)
        if value is not None:
            yield f"{place}{key}", name, value


def _as_number(value: Any) -> Any:
    if isinstance(value, str) and value.strip().lower() in _YES | _NO:
        return float(value.strip().lower() in _YES)
    if isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
        return max(value)  # a reward a turn
    return value


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
        if isinstance(message, dict):
            message = _plain(message)
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


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """Without what OpenAI's interface also takes: texts in parts, another name of the system."""
    changed = {}
    content, calls = message.get("content"), message.get("tool_calls")
    if isinstance(content, list) and all(_is_text(part) for part in content):
        changed["content"] = "".join(part["text"] for part in content)
    if isinstance(calls, str):
        changed["tool_calls"] = _from_text(calls)
    if message.get("role") == "developer":
        changed["role"] = "system"
    return message | changed


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part["text"], str)


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
    if isinstance(value, float) and value.is_integer():
        value = int(value)
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
