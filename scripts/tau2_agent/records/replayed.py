"""An episode told again in a fresh environment: what changed when, and which message met a check.

Scoring runs in the environment in which the episode took place and sees only its end. Here the
calls are carried out once more, and after each message the account's and the phone's state are
compared with what they were before, and the task's assertions are asked. A few milliseconds an
episode; only episodes that are kept are replayed. tau2 draws the ids of new bills at random, so a
new bill may bear another name here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from tau2.data_model.message import Message
from tau2.data_model.tasks import Task
from tau2.domains.telecom.environment import TelecomEnvironment

from tau2_agent.benchmark.environment import make_environment
from tau2_agent.reward.action_checks import executed_calls, matching_calls
from tau2_agent.reward.scoring import assertion_holds

# Lists whose entries have a name of their own; any other list is one value.
_IDS = ("line_id", "bill_id", "customer_id", "plan_id", "device_id")
_ABSENT = object()


class Change(BaseModel):
    """A value that changed with a message. `before` or `after` is None where there was nothing."""

    model_config = ConfigDict(extra="forbid")

    message: int
    side: str  # account or phone
    path: str  # such as lines.L1002.roaming_enabled
    before: Any = None
    after: Any = None


class Check(BaseModel):
    """What the task asks for, and whether the episode met it.

    met: tau2's own verdict. verified: of actions, ours (see `reward.action_checks`). held_at_start:
    of assertions. required: whether the reward depends on it. message: the place of the message
    that met it: the call of an action; for an assertion the message after which it held to the end.
    None if it was missed, or held from the start.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str  # action, assertion or communicate
    name: str
    arguments: dict[str, Any] = {}
    side: str | None = None
    met: bool
    verified: bool | None = None
    held_at_start: bool | None = None
    required: bool
    message: int | None = None


def tell(
    task: Task, messages: list[Message], reward_info: Mapping[str, Any] | None
) -> tuple[list[Check], list[Change]]:
    """The checks of an episode with the messages that met them, and the changes of state.

    reward_info: as `reward.scoring` gives it; None for an episode without a score, which has no
    checks.
    """
    changes, held_since = _replay(task, messages)
    if reward_info is None:
        return [], changes
    required = {basis.value for basis in task.evaluation_criteria.reward_basis}
    checks = [
        Check(
            kind="assertion",
            name=entry["env_assertion"]["func_name"],
            arguments=entry["env_assertion"]["arguments"],
            side=entry["env_assertion"]["env_type"],
            met=entry["met"],
            held_at_start=entry["held_at_start"],
            required="ENV_ASSERTION" in required,
            message=since if entry["met"] else None,
        )
        for entry, since in zip(reward_info["env_assertions"] or [], held_since, strict=True)
    ]
    entries = reward_info["action_checks"] or []
    for entry, place in zip(entries, _action_messages(task, messages), strict=True):
        action = entry["action"]
        checks.append(
            Check(
                kind="action",
                name=action["name"],
                arguments=action["arguments"],
                side=action["requestor"],
                met=entry["action_match"],
                verified=entry["verified"],
                required="ACTION" in required,
                message=place if entry["action_match"] else None,
            )
        )
    for entry in reward_info["communicate_checks"] or []:
        checks.append(
            Check(
                kind="communicate",
                name=entry["info"],
                side="assistant",
                met=entry["met"],
                required="COMMUNICATE" in required,
            )
        )
    return checks, changes


def _action_messages(task: Task, messages: list[Message]) -> list[int | None]:
    """The message of the call that is a gold action's own; else of the first that tau2 takes."""
    gold, calls = task.evaluation_criteria.actions or [], executed_calls(messages)
    places: list[int | None] = []
    for action, own in zip(gold, matching_calls(gold, calls), strict=True):
        if own is not None:
            places.append(calls[own].message)
            continue
        taken = (c.message for c in calls if action.compare_with_tool_call(c.call))
        places.append(next(taken, None))
    return places


def _replay(task: Task, messages: list[Message]) -> tuple[list[Change], list[int | None]]:
    """Changes in the order of messages; for each assertion the message since which it holds."""
    environment = make_environment(task)
    assertions = task.evaluation_criteria.env_assertions or []
    calls = iter(executed_calls(messages))
    waiting = next(calls, None)
    state = _state(environment)
    held = [assertion_holds(environment, assertion) for assertion in assertions]
    since: list[int | None] = [None] * len(assertions)
    changes: list[Change] = []
    for place in range(len(messages)):
        if waiting is None or waiting.message != place:
            continue
        while waiting is not None and waiting.message == place:
            environment.get_response(waiting.call)
            waiting = next(calls, None)
        environment.sync_tools()
        last, state = state, _state(environment)
        changes += [
            Change(message=place, side=side, path=path, before=before, after=after)
            for side in ("account", "phone")
            for path, before, after in _differences(last[side], state[side])
        ]
        if last != state:
            for number, assertion in enumerate(assertions):
                holds = assertion_holds(environment, assertion)
                if holds and not held[number]:
                    since[number] = place
                held[number] = holds
    return changes, [place if holds else None for place, holds in zip(since, held, strict=True)]


def _state(environment: TelecomEnvironment) -> dict[str, Any]:
    return {
        "account": environment.tools.db.model_dump(mode="json"),
        "phone": environment.user_tools.db.model_dump(mode="json"),
    }


def _differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, before, after) of every value that differs; None where one side has nothing."""
    if before == after:
        return
    old, new = _named(before), _named(after)
    if old is None or new is None:
        yield path, _value(before), _value(after)
        return
    for name in {**old, **new}:
        below = f"{path}.{name}" if path else str(name)
        yield from _differences(old.get(name, _ABSENT), new.get(name, _ABSENT), below)


def _named(value: Any) -> dict[str, Any] | None:
    """The parts of a value by name; None for a value without such."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        for key in _IDS:
            named = {str(entry.get(key)): entry for entry in value if key in entry}
            if len(named) == len(value):
                return named
    return None


def _value(value: Any) -> Any:
    return None if value is _ABSENT else value
