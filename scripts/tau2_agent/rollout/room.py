"""Whether any conversation that solves a task fits into an episode, asked before one is played.

Where none does, each episode ends by `context_length`: a training would train on next to nothing
and an evaluation report 0, and neither would be an error. The measure is the shortest conversation
with which the scripted teacher solves a task of tau2's, told to the fixed scripted user
(shortest_conversation.json; a test compares it with the teacher). In the tokens of the model at
hand that is

    least = tokens(instructions, greeting, user's first words) + tokens(the rest, 6 turns)

With tau2's prompt and Qwen3's tokenizer these are 7,179 + 789 tokens, in the demo 107 + 127. Other
users are wordier, and most tasks longer: the longest of train takes 2,750 and 691 after the first
prompt. So a length above the least is no promise, and one below it a mistake.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tau2_agent.errors import InputError

if TYPE_CHECKING:
    from tau2_agent.rollout.chat_template import ChatCodec

SHORTEST = Path(__file__).with_name("shortest_conversation.json")


class Least(NamedTuple):
    """Tokens of the shortest conversation that solves a task. prompt: of the first prompt alone;
    whole: of the prompt and all that follows."""

    prompt: int
    whole: int


def least(codec: ChatCodec, prompt: str) -> Least:
    """The fewest tokens in which an episode can succeed. prompt: the name of its instructions."""
    # tau2 takes a second to import: not for who asks for the steps
    from tau2_agent.benchmark.environment import prompt_tools, system_prompt

    talk = [{"role": "system", "content": system_prompt(prompt)}, *_shortest()["messages"]]
    record = codec.trace(talk, prompt_tools(prompt))
    return Least(record.prompt_length, len(record.ids))


def fewest_steps() -> int:
    """The least max_steps with which an episode can succeed: what ends at the limit is no success,
    so one more than the shortest solved conversation has."""
    return _shortest()["steps"] + 1


def require_room(
    codec: ChatCodec, prompt: str, length: int, option: str, *, after_prompt: bool = False
) -> None:
    """Raise InputError where no conversation that solves a task fits: every score would be 0.

    prompt: the name of the instructions. length: tokens, of the whole episode or of what comes
    after its first prompt. option: what sets it, for the message.
    """
    need = least(codec, prompt)
    room = need.whole - need.prompt if after_prompt else need.whole
    if length < room:
        parts = f"{need.prompt} of prompt {prompt} and {need.whole - need.prompt} of its turns"
        raise InputError(
            f"{option} {length}: the shortest conversation that solves a task takes {room} tokens"
            f"{' after the prompt' if after_prompt else f', {parts}'}; raise it to {room} at least"
            ", most tasks take a multiple of the turns"
        )


@cache
def _shortest() -> dict[str, Any]:
    return json.loads(SHORTEST.read_text(encoding="utf-8"))
