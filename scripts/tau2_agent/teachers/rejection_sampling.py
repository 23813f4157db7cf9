"""Several attempts a task, until one is good enough to be taught; nothing is paid for twice.

Every finished attempt is one line of a file (episode_log.py), with all its messages: a killed job
resumes where it was, and prompts, lengths or the code that scores can change without a further
call. An attempt that the
user simulator or the teacher's server ended is no attempt: it is played again, then left out and
counted.

Left out: who plays (llm.py, users/registry.py) and what a good trace is (trace_checks.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from pydantic import Field
from tau2.data_model.message import AssistantMessage, Message, ToolMessage, UserMessage

from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.benchmark.tasks import get_task
from tau2_agent.records.episode_log import EpisodeLog
from tau2_agent.records.episode_row import EpisodeRow
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import together
from tau2_agent.rollout.trajectory import JobStop, Trajectory, agent_view, as_chat

PLAYS = 3  # of an attempt that the infrastructure ends

_MESSAGES = {"assistant": AssistantMessage, "user": UserMessage, "tool": ToolMessage}


class Attempt(EpisodeRow):
    """One episode of a teacher; `trial` is the number of the attempt, from 0."""

    teacher_report: dict[str, Any] = Field(default_factory=dict)


# (task id, number of the attempt) -> the episode; may raise JobStop
Player = Callable[[str, int], Awaitable[Attempt]]


def chosen(
    attempts: Iterable[Attempt], task_ids: Sequence[str], accept: Callable[[Attempt], bool]
) -> dict[str, Attempt]:
    """Task id -> its first accepted attempt, in the order of `task_ids`."""
    first: dict[str, Attempt] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.trial):
        if attempt.task_id not in first and accept(attempt):
            first[attempt.task_id] = attempt
    return {task_id: first[task_id] for task_id in task_ids if task_id in first}


async def attempt_all(
    task_ids: Sequence[str],
    play: Player,
    log: EpisodeLog,
    *,
    attempts: int,
    concurrency: int,
    accept: Callable[[Attempt], bool],
    count: Callable[[Attempt], None],
    tell: Callable[[str, bool], None],
) -> None:
    """Play every task until an attempt is accepted, or `attempts` of them have counted.

    What `log` has already is not played again. Tasks go side by side, `concurrency` at once, the
    attempts of one after each other. `count` sees every attempt after its last play and may raise
    JobStop; `tell` hears of each task as it is done. Raises JobStop when the job cannot go on;
    episodes that are under way then still end and are kept, as far as they can.
    """
    gate = asyncio.Semaphore(concurrency)
    stops: list[JobStop] = []

    async def play_until_it_counts(task_id: str, number: int) -> Attempt | None:
        try:
            for again in range(1, PLAYS + 1):
                if stops:
                    return None
                attempt = await play(task_id, number)
                attempt.attempts = again
                log.append(attempt)
                if not attempt.excluded:
                    break
            count(attempt)
        except JobStop as stop:
            stops.append(stop)
            return None
        return attempt

    async def one(task_id: str) -> None:
        for number in range(attempts):
            attempt = log.rows.get((task_id, number))
            if attempt is None or attempt.excluded:
                async with gate:
                    attempt = await play_until_it_counts(task_id, number)
            if attempt is None or attempt.excluded:
                return  # not decided: a later job resumes here
            if accept(attempt):
                tell(task_id, True)
                return
        tell(task_id, False)

    # A mistake of this program in one episode ends all of them.
    await together(one(task_id) for task_id in task_ids)
    if stops:
        raise stops[0]


def score_anew(log: EpisodeLog, scored_by: str) -> int:
    """Score the attempts that other code scored, from their messages; return how many there were.

    scored_by: names the code that scores now. Nothing is played: an attempt is paid for once.
    """
    stale = [
        row
        for row in log.rows.values()
        if not row.excluded and row.scored_by != scored_by and row.messages
    ]
    for row in stale:
        messages = [_message(message) for message in row.messages]
        result = score(Trajectory(row.task_id, messages, row.end), get_task(row.task_id))
        changed = {name: getattr(result, name) for name in ("reward", "partial", "reward_info")}
        log.append(row.model_copy(update={**changed, "scored_by": scored_by}))
    return len(stale)


def trace_of(attempt: Attempt, prompt: str) -> dict[str, Any]:
    """The attempt as a line of a trace file, with the system prompt that will be trained on."""
    messages = [_message(message) for message in attempt.messages or []]
    return {
        "task_id": attempt.task_id,
        "reward": attempt.reward,
        "end": attempt.end.value,
        "steps": attempt.steps,
        "messages": [
            {"role": "system", "content": system_prompt(prompt)},
            *map(as_chat, agent_view(messages)),
        ],
        "tools": prompt_tools(prompt),
    }


def _message(message: dict[str, Any]) -> Message:
    return _MESSAGES[message["role"]].model_validate(message)
