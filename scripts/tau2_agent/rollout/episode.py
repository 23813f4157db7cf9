"""One episode: an agent, a user simulator and tau2's telecom environment take turns.

The order of turns, the counting of steps and the ends are those of tau2's `Orchestrator` with its
`LLMAgent`, which never ends a conversation: its `###STOP###` is text like any other. A test runs
both side by side. Left out on purpose: solo mode, message histories, the LLM judge (telecom uses
none of them). There is no thread: thousands of episodes share one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tau2.data_model.message import AssistantMessage, Message, UserMessage
from tau2.data_model.tasks import Task
from tau2.domains.telecom.environment import TelecomEnvironment

from tau2_agent.benchmark.environment import make_environment
from tau2_agent.rollout.repeats import Repeats
from tau2_agent.rollout.trajectory import (
    EndReason,
    EpisodeEnd,
    JobStop,
    PolicyFailure,
    TokenRecord,
    Trajectory,
    UserFailure,
)

T = TypeVar("T")

GREETING = "Hi! How can I help you today?"  # tau2's DEFAULT_FIRST_AGENT_MESSAGE
STOP, TRANSFER, OUT_OF_SCOPE = "###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###"


class Agent(Protocol):
    """Who answers. `tokens` is None for agents that are not models."""

    tokens: TokenRecord | None

    async def act(self, new: list[Message]) -> AssistantMessage:
        """Answer what came in since the last answer: user text, or results of own tool calls.

        The first call brings the greeting and the user's first message. May raise `EpisodeEnd`
        or `PolicyFailure`.
        """
        ...


class User(Protocol):
    """Who asks. Text goes to the agent, tool calls (requestor "user") to the user's own phone."""

    async def reply(self, new: list[Message]) -> UserMessage:
        """Answer the agent's text, or the results of own tool calls. May raise `UserFailure`."""
        ...

    def report(self) -> dict[str, Any]:
        """What the simulator wants recorded: its name, what it did not understand, its cost."""
        ...


@dataclass(frozen=True)
class Limits:
    """Bounds of an episode. `max_steps` and `max_errors` count as tau2 counts.

    repeat_limit: the episode ends when the agent has made the same turns so many times in a row
    with the same outcome (`repeats.py` says what is the same); 0: never, as in tau2.
    """

    max_steps: int = 200
    max_errors: int = 10
    timeout_s: float | None = None
    repeat_limit: int = 0


async def run_episode(
    task: Task,
    agent: Agent,
    user: User,
    environment: TelecomEnvironment | None = None,
    limits: Limits = Limits(),
) -> Trajectory:
    """Run one episode to its end.

    Whatever the model or the simulator does ends up in the trajectory's `end`; only mistakes of
    this program raise, and `JobStop`. A cancelled task is cancelled. An episode that ran out of
    time because the user took most of it is the user's failure.
    """
    trajectory = Trajectory(
        task_id=task.id,
        messages=[AssistantMessage(role="assistant", content=GREETING)],
        end=EndReason.TIMEOUT,
        environment=environment or make_environment(task),
    )
    start = time.perf_counter()
    timed = _Timed(user)
    try:
        async with asyncio.timeout(limits.timeout_s):
            trajectory.end = await _take_turns(trajectory, agent, timed, limits)
    except EpisodeEnd as end:
        trajectory.end, trajectory.detail = end.reason, end.detail
    except UserFailure as failure:
        trajectory.end, trajectory.detail = EndReason.USER_ERROR, str(failure)
        trajectory.failure = failure.kind
    except PolicyFailure as failure:
        trajectory.end, trajectory.detail = EndReason.POLICY_ERROR, str(failure)
    except TimeoutError:
        trajectory.detail = f"no end after {limits.timeout_s} s"
        if timed.seconds > (time.perf_counter() - start) / 2:
            trajectory.end, trajectory.failure = EndReason.USER_ERROR, "timed_out"
            trajectory.detail = (
                f"timed_out: the user took {timed.seconds:.0f} of {limits.timeout_s:g} s"
            )
    trajectory.seconds = time.perf_counter() - start
    trajectory.tokens = agent.tokens
    trajectory.user_report = user.report()
    return trajectory


class _Timed:
    """A user whose time is measured."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.seconds = 0.0

    async def reply(self, new: list[Message]) -> UserMessage:
        began = time.perf_counter()
        try:
            return await self.user.reply(new)
        finally:
            self.seconds += time.perf_counter() - began

    def report(self) -> dict[str, Any]:
        return self.user.report()


async def _take_turns(
    trajectory: Trajectory, agent: Agent, user: User, limits: Limits
) -> EndReason:
    messages = trajectory.messages
    environment = trajectory.environment
    for_agent: list[Message] = list(messages)  # the first call shows the greeting too
    for_user: list[Message] = list(messages)
    receiver, caller = "user", "user"
    repeats = Repeats()
    while True:
        end: EndReason | None = None
        if receiver == "user":
            asked = await user.reply(for_user)
            if not (asked.is_tool_call() or asked.has_text_content()):
                raise UserFailure("said_nothing", "neither text nor a tool call")
            messages.append(asked)
            if asked.is_tool_call():
                receiver, caller = "environment", "user"
            else:
                receiver, for_agent = "agent", [*for_agent, asked]
                if any(token in asked.content for token in (STOP, TRANSFER, OUT_OF_SCOPE)):
                    end = EndReason.USER_STOP
        elif receiver == "agent":
            trajectory.agent_turns += 1
            answer = await agent.act(for_agent)
            for_agent = []
            if not (answer.is_tool_call() or answer.has_text_content()):
                # tau2's runner raises here and scores the simulation 0.
                raise EpisodeEnd(EndReason.AGENT_ERROR, "neither text nor a tool call")
            messages.append(answer)
            if answer.is_tool_call():
                receiver, caller = "environment", "agent"
            else:
                # Whatever it says goes to the user: tau2's LLMAgent cannot end a conversation.
                receiver, for_user = "user", [answer]
        else:
            results = [environment.get_response(call) for call in messages[-1].tool_calls]
            trajectory.tool_errors += sum(result.error for result in results)
            messages += results
            receiver = caller
            if caller == "user":
                for_user = results
            else:
                for_agent = results
            # tau2 does so after every step, but only calls change anything. A call that succeeded
            # has done it.
            if any(result.error for result in results):
                environment.sync_tools()
        trajectory.steps += 1
        # Both limits wait until calls are answered, and both override a stop: so does tau2.
        if receiver != "environment":
            if trajectory.steps >= limits.max_steps:
                end = EndReason.MAX_STEPS
            if trajectory.tool_errors >= limits.max_errors:
                end = EndReason.TOO_MANY_ERRORS
        if end is not None:
            return end
        if limits.repeat_limit and receiver == "agent":
            repeats.see(messages)
            if repeats.times >= limits.repeat_limit:
                turns = "turn" if repeats.period == 1 else f"{repeats.period} turns"
                trajectory.detail = f"the last {turns} {repeats.times} times in a row"
                return EndReason.REPEAT_LIMIT


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all of them and return their results in order.

    When one raises, the others are cancelled. Raises the first JobStop itself; mistakes of this
    program as the ExceptionGroup that they come in, with the stops beside them.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        stops, mistakes = errors.split(JobStop)
        if stops is None or mistakes is not None:
            raise
        # not `except*`: on Python 3.11.2, Debian 12's, what it raises arrives in a group again
        raise stops.exceptions[0] from None
    return [task.result() for task in tasks]
