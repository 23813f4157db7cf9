"""From an episode to its transcript, and from a transcript to tau2's messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from tau2.data_model.message import (
    AssistantMessage,
    Message,
    MultiToolMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from tau2.data_model.tasks import Task

from tau2_agent.records.episode_row import EpisodeRow
from tau2_agent.records.replayed import tell
from tau2_agent.records.transcripts import Said, Tokens, Transcript
from tau2_agent.rollout.trajectory import TokenRecord, Trajectory

DIGITS = 5  # of a log prob


def make_transcript(
    task: Task, trajectory: Trajectory, row: EpisodeRow, *, tokenizer: Any = None, **more: Any
) -> Transcript:
    """What is kept of an episode. row: the same episode's.

    tokenizer: keeps the tokens, with their text; None leaves them out. more: fields that a row does
    not have: `rollout`, `sample`, `shaped`.
    """
    messages = flat(trajectory.messages)
    checks, changes = tell(task, messages, row.reward_info)
    began = _time(messages[0]) if messages else None
    tokens = trajectory.tokens
    both = Transcript.model_fields.keys() & EpisodeRow.model_fields.keys() - {"messages"}
    return Transcript(
        **{name: getattr(row, name) for name in both},
        started=began.isoformat(timespec="milliseconds") if began else "",
        messages=list(_said(messages, began)),
        checks=checks,
        changes=changes,
        tokens=_kept(tokens, messages, tokenizer) if tokens and tokenizer is not None else None,
        **more,
    )


def flat(messages: Iterable[Message]) -> list[Message]:
    """Messages with the results of several calls one by one, as tau2 keeps a trajectory."""
    single: list[Message] = []
    for message in messages:
        single += message.tool_messages if isinstance(message, MultiToolMessage) else [message]
    return single


def tau2_messages(transcript: Transcript) -> list[Message]:
    """The messages as tau2's own, with the times at which they were said."""
    messages: list[Message] = []
    began = datetime.fromisoformat(transcript.started) if transcript.started else None
    for place, said in enumerate(transcript.messages):
        values: dict[str, Any] = {"role": said.role, "content": said.content, "turn_idx": place}
        if began:
            time = began + timedelta(seconds=said.time)
            values["timestamp"] = time.isoformat(timespec="microseconds")
        if said.role == "tool":
            about = {"id": said.call_id or "", "requestor": said.requestor, "error": said.error}
            messages.append(ToolMessage(**values, **about))
            continue
        calls = [ToolCall(**call, requestor=said.role) for call in said.tool_calls]
        kind = AssistantMessage if said.role == "assistant" else UserMessage
        messages.append(kind(**values, tool_calls=calls or None))
    return messages


def _said(messages: list[Message], began: datetime | None) -> Iterator[Said]:
    names: dict[tuple[str, str], str] = {}
    for message in messages:
        time = _time(message)
        said = Said(
            role=message.role,
            content=message.content,
            time=round((time - began).total_seconds(), 3) if time and began else 0.0,
        )
        if isinstance(message, ToolMessage):
            said.requestor, said.call_id, said.error = message.requestor, message.id, message.error
            said.name = names.get((message.requestor, message.id))
        else:
            for call in message.tool_calls or []:
                names[message.role, call.id] = call.name
                said.tool_calls.append(call.model_dump(mode="json", exclude={"requestor"}))
        yield said


def _kept(record: TokenRecord, messages: list[Message], tokenizer: Any) -> Tokens:
    start = record.prompt_length
    ids = record.ids[start:]
    return Tokens(
        prompt_length=start,
        ids=ids,
        mask=record.loss_mask[start:],
        log_probs=[round(value, DIGITS) for value in record.log_probs[start:]],
        pieces=_pieces(ids, tokenizer),
        # The first one is the greeting, which no model writes.
        agent_messages=[i for i, m in enumerate(messages) if m.role == "assistant" and i],
    )


def _pieces(ids: list[int], tokenizer: Any) -> list[str]:
    """The text of each token; bytes that make a character together are the last token's text."""
    pieces = tokenizer.batch_decode([[token] for token in ids], skip_special_tokens=False)
    waiting: list[int] = []
    for place, piece in enumerate(pieces):
        if "\ufffd" not in piece:
            waiting = []
            continue
        waiting.append(ids[place])
        text = tokenizer.decode(waiting, skip_special_tokens=False)
        if "\ufffd" in text and len(waiting) < 4:  # a character has at most four bytes
            pieces[place] = ""
        else:
            pieces[place], waiting = text, []
    return pieces


def _time(message: Message) -> datetime | None:
    try:
        return datetime.fromisoformat(message.timestamp) if message.timestamp else None
    except ValueError:  # not tau2's own clock
        return None
