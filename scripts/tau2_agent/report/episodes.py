"""Transcripts -> what the viewer in the page reads: an index, and packed conversations a task.

The index holds what the matrix and its filters show, a row an episode. A task's conversations are
one chunk, its token streams another: compressed JSON that the page unpacks when it is looked at.
Nothing here is HTML; what a model wrote stays text until the page makes a text node of it.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tau2_agent.benchmark.facets import facets
from tau2_agent.benchmark.tasks import get_task
from tau2_agent.records.counters import COUNTERS
from tau2_agent.records.transcripts import Transcript

# Beyond these the page would be too heavy for a browser; it says what it leaves out.
MAX_EPISODES = 4_000
MAX_TOKENS = 6_000_000  # of all token streams together


@dataclass(frozen=True)
class Column:
    """Episodes of one model (or of one rollout of training) on one set of tasks.

    `set` names the set ("test"), `id` the model in links ("rl"), `label` the model for people;
    `before` is the (set, id) of the column over which tasks are gained and lost.
    """

    set: str
    id: str
    label: str
    episodes: Sequence[Transcript]
    before: tuple[str, str] | None = None


def pack(value: Any) -> str:
    """Compressed JSON in base64: what the page's `unpack` reads. The same value, the same text."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0)).decode()


def viewer(columns: Sequence[Column]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the index, and chunk name -> packed chunk.

    Chunks are named "c<task>" (conversations) and "t<task>" (tokens) by the task's place in the
    index; in them an episode's key is its place in the index.
    """
    kept, left_out = _bounded(columns)
    ids = list(dict.fromkeys(t.task_id for column in kept for t in column.episodes))
    place = {task_id: number for number, task_id in enumerate(ids)}
    conversations = [{"scenario": _scenario(task_id), "episodes": {}} for task_id in ids]
    tokens: dict[int, dict[int, Any]] = defaultdict(dict)
    rows: list[dict[str, Any]] = []
    room = MAX_TOKENS
    for number, column in enumerate(kept):
        for transcript in column.episodes:
            task = place[transcript.task_id]
            key = len(rows)
            rows.append(_row(transcript, task, number))
            conversations[task]["episodes"][key] = conversation(transcript)
            if transcript.tokens is not None and room > 0:
                room -= len(transcript.tokens.ids)
                tokens[task][key] = token_stream(transcript)
                rows[-1]["tokens"] = 1
    names = [(column.set, column.id) for column in kept]
    index = {
        "columns": [
            {
                "set": c.set,
                "id": c.id,
                "label": c.label,
                "before": names.index(c.before) if c.before in names else None,
            }
            for c in kept
        ],
        "tasks": [_task(task_id) for task_id in ids],
        "episodes": _transposed(rows),
        "counters": COUNTERS,
        "left_out": left_out,
    }
    chunks = {f"c{task}": pack(chunk) for task, chunk in enumerate(conversations)}
    return index, chunks | {f"t{task}": pack(chunk) for task, chunk in tokens.items()}


def conversation(transcript: Transcript) -> dict[str, Any]:
    """Messages with each result folded into its call, state changes where they showed, checks."""
    changes: dict[int, list[list[Any]]] = defaultdict(list)
    for change in transcript.changes:
        changes[change.message].append([change.side, change.path, change.before, change.after])
    messages: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []  # calls without a result yet
    for number, said in enumerate(transcript.messages):
        if said.role == "tool" and waiting:
            call = waiting.pop(0)
            call |= {"result": said.content or "", "i": number}
            if said.error:
                call["error"] = 1
            if number in changes:
                call["changes"] = changes[number]
            continue
        waiting = [
            {"name": call["name"], "arguments": call["arguments"]} for call in said.tool_calls or []
        ]
        message: dict[str, Any] = {"i": number, "role": said.role, "time": round(said.time, 2)}
        if said.content:
            message["text"] = said.content
        if waiting:
            message["calls"] = list(waiting)
        if number in changes:
            message["changes"] = changes[number]
        messages.append(message)
    return {
        "messages": messages,
        "checks": [check.model_dump(mode="json") for check in transcript.checks],
        "detail": transcript.detail,
    }


def token_stream(transcript: Transcript) -> dict[str, Any]:
    """Tokens after the first prompt; log probs in thousandths, negated, of sampled ones only."""
    tokens = transcript.tokens
    assert tokens is not None
    sampled = [place for place, on in enumerate(tokens.mask) if on]
    return {
        "prompt": tokens.prompt_length,
        "ids": tokens.ids,
        "pieces": tokens.pieces,
        "logs": [round(-1000 * tokens.log_probs[place]) for place in sampled],
        "turns": [[turn.message, turn.start, turn.end] for turn in tokens.turns()],
    }


def _bounded(columns: Sequence[Column]) -> tuple[list[Column], int]:
    """As many episodes as a page holds: whole tasks, the same ones of every column."""
    total = sum(len(column.episodes) for column in columns)
    if total <= MAX_EPISODES:
        return list(columns), 0
    of_task: dict[str, int] = defaultdict(int)
    for column in columns:
        for transcript in column.episodes:
            of_task[transcript.task_id] += 1
    wanted, count = set(), 0
    for task_id, episodes in of_task.items():
        if count + episodes <= MAX_EPISODES:
            wanted.add(task_id)
            count += episodes
    kept = [replace(c, episodes=[t for t in c.episodes if t.task_id in wanted]) for c in columns]
    return [column for column in kept if column.episodes], total - count


def _row(transcript: Transcript, task: int, column: int) -> dict[str, Any]:
    return {
        "task": task,
        "column": column,
        "trial": transcript.trial if transcript.sample is None else transcript.sample,
        "end": transcript.user_end or transcript.end.value,
        "reward": transcript.reward,
        "partial": None if transcript.partial is None else round(transcript.partial, 3),
        "solved": int(transcript.solved),
        "steps": transcript.steps,
        "turns": transcript.agent_turns,
        "seconds": round(transcript.seconds, 2),
        "counters": transcript.counters,
        "tokens": 0,
    }


def _transposed(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A list a field: smaller than a name in every row, and quicker to read."""
    table: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            table.setdefault(name, []).append(value)
    return table


def _task(task_id: str) -> dict[str, Any]:
    found = facets(task_id)
    return {
        "id": task_id,
        "issue": found.issue,
        "faults": list(found.faults),
        "persona": found.persona,
        "kind": found.kind,
    }


def _scenario(task_id: str) -> str:
    """What the user was told: his persona, what he knows, what he wants."""
    return str(get_task(task_id).user_scenario)
