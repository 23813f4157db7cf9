"""How many calls and tokens an episode takes from a language model: measured, or counted here.

Counted: the scripted teacher and the scripted user talk, and every message that a language
model in the place of one of them would be sent is counted with litellm's tokenizer, system prompt
and tools included. Measured: what earlier stages of this project paid, from the files that they
left.

Left out: prices and numbers of episodes (estimate_cost.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tau2.data_model.message import AssistantMessage, Message, SystemMessage, UserMessage
from tau2.data_model.tasks import Task

from tau2_agent.benchmark.environment import assistant_tools, system_prompt, user_tools
from tau2_agent.evaluation.results import read_summary
from tau2_agent.llm.quiet import quiet_litellm
from tau2_agent.records.episode_row import ResultsError
from tau2_agent.rollout.episode import run_episode
from tau2_agent.rollout.trajectory import agent_view
from tau2_agent.teachers.scripted import ScriptedTeacher
from tau2_agent.users.mixture import parse_mix
from tau2_agent.users.scripted.user import ScriptedUser


@dataclass(frozen=True)
class Lengths:
    """Means over episodes. dollars: as they were paid; None if that is not known.

    source: where this is from, for people. attempts: episodes a task, where that was measured.
    """

    calls: float
    prompt_tokens: float
    completion_tokens: float
    source: str
    measured: bool
    dollars: float | None = None
    attempts: float | None = None


async def counted(tasks: Sequence[Task], model: str, split: str) -> dict[str, Lengths]:
    """Side ("teacher", "user") -> lengths of scripted episodes of `tasks`, for `model`."""
    totals = {"teacher": [0, 0, 0], "user": [0, 0, 0]}
    for task in tasks:
        run = await run_episode(task, ScriptedTeacher(), ScriptedUser(task))
        for side, of_episode in (
            ("teacher", _agent_side(run.messages, model)),
            ("user", _user_side(run.messages, task, model)),
        ):
            totals[side] = [a + b for a, b in zip(totals[side], of_episode, strict=True)]
    source = f"scripted conversations on {len(tasks)} tasks of {split}, litellm's tokenizer"
    return {
        side: Lengths(*(value / len(tasks) for value in total), source=source, measured=False)
        for side, total in totals.items()
    }


def paid_teacher(model: str, folder: Path) -> Lengths | None:
    """What an attempt of `model` took, by the newest trace stage in `folder` that had it."""
    for path in _newest(folder.glob("*.usage.json")):
        usage = _read(path)
        teacher, attempts = usage.get("teacher") or {}, usage.get("attempts")
        if teacher.get("model") == model and attempts:
            source = f"{path}, {attempts} attempts"
            a_task = attempts / usage["tasks"] if usage.get("tasks") else None
            return _mean(teacher, attempts, source, a_task)
    return None


def paid_user(model: str, results: Path) -> Lengths | None:
    """What an episode with `model` as user took, by all evaluations in `results` that had it."""
    total: dict[str, Any] = {}
    episodes, files = 0.0, 0
    for path in sorted(results.rglob("eval_*.json")):
        try:
            summary = read_summary(path)
        except ResultsError:
            continue
        usage = summary.user_usage
        if not usage or usage["model"] != model:
            continue
        files += 1
        share = parse_mix(summary.manifest.user_simulator).get("llm", 0.0)
        episodes += share * (summary.evaluated + summary.excluded)
        for name in ("calls", "prompt_tokens", "completion_tokens"):
            total[name] = total.get(name, 0) + usage[name]
        known = usage["dollars"] is not None and total.get("dollars", 0.0) is not None
        total["dollars"] = total.get("dollars", 0.0) + usage["dollars"] if known else None
    if not episodes:
        return None
    return _mean(total, episodes, f"{results}/, {files} evaluations, {episodes:.0f} episodes")


def _mean(
    total: dict[str, Any], episodes: float, source: str, attempts: float | None = None
) -> Lengths:
    dollars = total["dollars"]
    return Lengths(
        total["calls"] / episodes,
        total["prompt_tokens"] / episodes,
        total["completion_tokens"] / episodes,
        source=source,
        measured=True,
        dollars=None if dollars is None else dollars / episodes,
        attempts=attempts,
    )


def _agent_side(messages: list[Message], model: str) -> tuple[int, int, int]:
    system = SystemMessage(role="system", content=system_prompt("tau2"))
    own = [message for message in messages[1:] if isinstance(message, AssistantMessage)]
    return _calls(system, assistant_tools(), agent_view(messages), own, model)


def _user_side(messages: list[Message], task: Task, model: str) -> tuple[int, int, int]:
    from tau2.user.user_simulator import UserSimulator  # litellm takes seconds to import

    simulator = UserSimulator(tools=user_tools(), instructions=str(task.user_scenario))
    system = SystemMessage(role="system", content=simulator.system_prompt)
    seen = [m for m in messages if _for_user(m)]
    own = [message for message in seen if isinstance(message, UserMessage)]
    return _calls(system, user_tools(), seen, own, model)


def _for_user(message: Message) -> bool:
    """Text of the agent, the user's own messages and tool results; as tau2 shows it."""
    if isinstance(message, AssistantMessage):
        return not message.is_tool_call()
    return isinstance(message, UserMessage) or message.requestor == "user"


def _calls(
    system: SystemMessage, tools: list, seen: list[Message], own: list[Message], model: str
) -> tuple[int, int, int]:
    """Calls, prompt tokens and completion tokens of the side that says `own` of what is `seen`."""
    from tau2.utils.llm_utils import to_litellm_messages

    count = quiet_litellm().token_counter
    written = {id(message) for message in own}
    context = count(model, messages=to_litellm_messages([system]), tools=tools)
    calls = prompt = completion = 0
    for message in seen:
        # Roles do not change the count, so tool calls of the user count as the agent's would.
        said = AssistantMessage(
            role="assistant",
            content=message.content,
            tool_calls=getattr(message, "tool_calls", None),
        )
        length = count(model, messages=to_litellm_messages([said]))
        if id(message) in written:
            calls, prompt, completion = calls + 1, prompt + context, completion + length
        context += length
    return calls, prompt, completion


def _newest(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
