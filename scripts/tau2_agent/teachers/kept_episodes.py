"""Which of a model's own episodes it is taught: rejection sampling over several episodes a task.

Of a task's solved episodes those come first in which most of the task's checks passed, then the
shorter ones (sampled tokens), then the earlier ones. Shorter alone would be wrong: on a task that
is solved by a transfer, transferring at once is the shortest way, and no checks of a diagnosis
pass. Each is held against what every trace is held against (trace_checks.py). One in which the
agent says what it said in an earlier one is left out. One that says what a trace of the teacher
says that is learnt from, too, is in the data already: it takes a place of its task and is left out,
or what is kept of tasks that the model knows best would be their worse episodes.

The tokens are the sampled ones. They travel with the trace turn by turn, and are compared here with
the whole stream of the episode: what SFT makes of the trace is what the model wrote.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.records.conversation import tau2_messages
from tau2_agent.records.transcripts import Transcript
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.trajectory import OFFICIAL_ENDS, agent_view, as_chat
from tau2_agent.teachers.trace_checks import RejectedTrace, TraceRules, checked


@dataclass(frozen=True)
class Choice:
    """What is kept of each task.

    most: episodes a task. min_partial: of a task that was never solved, its best episode is kept if
    its partial score is at least this and the user ended it; None: nothing. max_length: tokens of
    an episode that SFT takes. beside: traces that are learnt from together with these.
    """

    prompt: str
    codec: ChatCodec
    max_length: int
    most: int = 1
    min_partial: float | None = None
    beside: Sequence[Mapping[str, Any]] = ()


@dataclass
class Kept:
    """traces: lines of a trace file. dropped: a line for each other episode, with the reason."""

    traces: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)


def choose(transcripts: Iterable[Transcript], choice: Choice) -> Kept:
    """Choose among the episodes of each task; tasks stay in the order in which they come.

    The episodes need their tokens. A trace has the fields of any trace, and `partial`, `trial` and
    `sampled`: the token ids of each of the agent's messages after the greeting.
    """
    by_task: dict[str, list[Transcript]] = defaultdict(list)
    for one in transcripts:
        by_task[one.task_id].append(one)
    taught: dict[str, set[str]] = defaultdict(set)
    for row in choice.beside:
        taught[row["task_id"]].add(_said(row["messages"]))
    kept = Kept()
    for task_id, episodes in by_task.items():
        _choose_of_task(episodes, choice, taught[task_id], kept)
    return kept


def _choose_of_task(
    episodes: list[Transcript], choice: Choice, taught: set[str], kept: Kept
) -> None:
    solved = any(one.solved for one in episodes)
    most = choice.most if solved else 1
    number, known = 0, set()
    for one in sorted(episodes, key=_rank):
        try:
            _check_worth(one, solved, choice.min_partial)
            trace = _trace(one, choice)
            if (said := _said(trace["messages"])) in known:
                raise RejectedTrace("duplicate", "the agent says what it says in a better one")
            known.add(said)
            if number == most:
                raise RejectedTrace("surplus", f"{most} better or shorter ones are learnt from")
            number += 1
            if said in taught:
                raise RejectedTrace("taught", "a trace of the teacher says the same")
        except RejectedTrace as fault:
            place = {"task_id": one.task_id, "trial": one.trial}
            kept.dropped.append(place | {"reason": fault.kind, "detail": fault.detail})
        else:
            kept.traces.append(trace)


def _rank(one: Transcript) -> tuple:
    """What stands earlier is kept rather."""
    tokens = sum(one.tokens.mask) if one.tokens else 0
    return -(one.partial or 0.0), tokens, one.trial


def _check_worth(one: Transcript, solved: bool, min_partial: float | None) -> None:
    """Raise RejectedTrace unless the episode is good enough to be a candidate."""
    if one.excluded:
        raise RejectedTrace("infrastructure", f"{one.end.value}: {one.detail}")
    if one.solved:
        return
    score = f"partial score {one.partial or 0.0:.3f}, ended by {one.end.value}"
    if solved or min_partial is None:
        raise RejectedTrace("unsolved", score)
    if (one.partial or 0.0) < min_partial:
        raise RejectedTrace("unsolved", f"{score}; the bar is {min_partial:g}")
    if one.end not in OFFICIAL_ENDS:
        raise RejectedTrace("unsolved", f"{score}; only what the user ended is no loop")


def _trace(one: Transcript, choice: Choice) -> dict[str, Any]:
    """The episode as a trace with its tokens. Raises RejectedTrace."""
    if one.counters.get("cut_turns"):
        raise RejectedTrace("cut_turn", "a turn was cut at the limit of tokens")
    if one.tokens is None:
        raise RejectedTrace("tokens", "they were not kept")
    length = one.tokens.prompt_length + len(one.tokens.ids)
    if length > choice.max_length:
        raise RejectedTrace("length", f"{length} tokens, at most {choice.max_length} are taken")
    row = {
        "task_id": one.task_id,
        "messages": [
            {"role": "system", "content": system_prompt(choice.prompt)},
            *map(as_chat, agent_view(tau2_messages(one))),
        ],
        "tools": prompt_tools(choice.prompt),
    }
    good = checked(row, TraceRules(choice.prompt))
    sampled = [one.tokens.ids[turn.start : turn.end] for turn in one.tokens.turns()]
    _check_tokens(one, good, sampled, choice.codec)
    about = {"reward": one.reward, "end": one.end.value, "steps": one.steps}
    return good | about | {"partial": one.partial, "trial": one.trial, "sampled": sampled}


def _check_tokens(
    one: Transcript, trace: Mapping[str, Any], sampled: list[list[int]], codec: ChatCodec
) -> None:
    """SFT has only the trace: what it will make of it must be the episode's own stream."""
    try:
        codec.check_sampled(trace["messages"], sampled)
    except ValueError as fault:
        raise RejectedTrace("tokens", str(fault)) from None
    record, own = codec.trace(trace["messages"], trace["tools"], sampled), one.tokens
    start = record.prompt_length
    if (start, record.ids[start:], record.loss_mask[start:]) != (
        own.prompt_length,
        own.ids,
        own.mask,
    ):
        raise RejectedTrace("tokens", "the stream made again is not the episode's")


def _said(messages: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(list(_answers(messages)))


def _answers(messages: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    """What the agent says and calls after the greeting, without the ids of calls."""
    for message in messages[2:]:
        if message["role"] == "assistant":
            calls = [call["function"] for call in message.get("tool_calls", [])]
            arguments = [[call["name"], json.loads(call["arguments"])] for call in calls]
            yield [message["content"], arguments]
