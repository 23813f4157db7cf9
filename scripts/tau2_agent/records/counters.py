"""What an agent did that a score does not tell, counted by name.

tau2 pays full reward after a line was suspended that the task does not concern, and its manual
invites the agent to call tools that are the user's. Such things are counted beside the score.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from tau2.data_model.message import Message
from tau2.data_model.tasks import Task

from tau2_agent.benchmark.environment import (
    assistant_tools,
    make_environment,
    user_tools,
    writing_tools,
)
from tau2_agent.reward.action_checks import executed_calls
from tau2_agent.rollout.repeats import Repeats
from tau2_agent.rollout.trajectory import TokenRecord

# name -> what a table or a page says
COUNTERS = {
    "foreign_tool_calls": "calls to tools that the agent does not own",
    "unknown_tool_calls": "calls to tools that do not exist",
    "unparsed_calls": "tool calls that could not be read",
    "repeated_calls": "calls repeated although nothing had changed",
    "repeated_turns": "turns in a loop: the same turns again, the same outcome",
    "longest_loop": "times in a row that the same turns were made, the most",
    "cut_turns": "turns cut at the limit of tokens",
    "transfers": "transfers to a human",
    "tool_errors": "tool errors, of both sides",
    "agent_tool_errors": "tool errors of the agent",
    "outside_writes": "writes to lines or customers that the task does not concern",
}
LONGEST = {"longest_loop"}  # of several episodes the most counts, not the sum
LOOPS = ("repeated_calls", "repeated_turns", "longest_loop", "cut_turns")


def count(
    task: Task, messages: Sequence[Message], tokens: TokenRecord | None = None
) -> dict[str, int]:
    """Count what happened in an episode; names of `COUNTERS`, without zeros."""
    counts: Counter[str] = Counter()
    own, foreign = _tools()
    writes = writing_tools()
    lines, customers = _concerned(task)
    seen: set[str] = set()  # the agent's calls since something could have changed
    place = 0
    for executed in executed_calls(messages):
        # What the user said or did between two calls can change what a tool answers.
        if any(message.role == "user" for message in messages[place : executed.message]):
            seen.clear()
        place = executed.message
        counts["tool_errors"] += executed.error
        if executed.requestor != "assistant":
            seen.clear()
            continue
        name, arguments = executed.call.name, executed.call.arguments
        counts["agent_tool_errors"] += executed.error
        if name not in own:
            counts["foreign_tool_calls" if name in foreign else "unknown_tool_calls"] += 1
        same = json.dumps([name, arguments], sort_keys=True)
        counts["repeated_calls"] += same in seen
        if executed.error:
            seen.add(same)
            continue
        counts["transfers"] += name == "transfer_to_human_agents"
        if name in writes:
            seen.clear()
            outside = _outside(arguments, "line_id", lines)
            outside |= _outside(arguments, "customer_id", customers)
            counts["outside_writes"] += outside
        seen.add(same)
    counts["unparsed_calls"] = sum(
        message.role == "assistant" and "<tool_call>" in (message.content or "")
        for message in messages
    )
    repeats = Repeats(messages)
    counts["repeated_turns"] = repeats.repeated
    counts["longest_loop"] = repeats.longest if repeats.repeated else 0
    counts["cut_turns"] = tokens.cut_turns if tokens else 0
    return {name: counts[name] for name in COUNTERS if counts[name]}


def loops(counts: Mapping[str, int]) -> dict[str, int]:
    """Those of an episode's counts that tell of loops, zeros too: for a line of a rollout."""
    return {name: counts.get(name, 0) for name in LOOPS}


def wasted_turns(counts: Mapping[str, int]) -> int:
    """Turns that `tau2_reward_shaping.repeat_penalty` is for: repeated in a loop, or cut."""
    return counts.get("repeated_turns", 0) + counts.get("cut_turns", 0)


def _outside(arguments: dict[str, Any], name: str, concerned: frozenset[str]) -> bool:
    return name in arguments and arguments[name] not in concerned


@lru_cache(maxsize=1)
def _tools() -> tuple[frozenset[str], frozenset[str]]:
    """Names of the agent's tools, and of the user's that the agent has not."""
    own = frozenset(tool["function"]["name"] for tool in assistant_tools())
    foreign = frozenset(tool["function"]["name"] for tool in user_tools())
    return own, foreign - own


def _concerned(task: Task) -> tuple[frozenset[str], frozenset[str]]:
    """Lines and customers that a task concerns.

    The line of the phone that the user calls from, its owner, and what the gold actions name.
    """
    environment = make_environment(task)
    phone = environment.user_tools.db.surroundings.phone_number
    lines = {line.line_id for line in environment.tools.db.lines if line.phone_number == phone}
    customers = {
        customer.customer_id
        for customer in environment.tools.db.customers
        if lines & set(customer.line_ids)
    }
    named = [action.arguments for action in task.evaluation_criteria.actions or []]
    lines |= {arguments["line_id"] for arguments in named if "line_id" in arguments}
    customers |= {arguments["customer_id"] for arguments in named if "customer_id" in arguments}
    return frozenset(lines), frozenset(customers)
