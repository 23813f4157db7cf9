"""A conversation as text for a terminal, with both sides' calls, changes of state and checks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from tau2_agent.records.counters import COUNTERS
from tau2_agent.records.transcripts import Said, Transcript

STYLES = {"assistant": "cyan", "user": "green", "tool": "dim"}
WHO = {"assistant": "agent", "user": "user"}
LONGEST = 400  # characters of a tool's answer


def show(transcript: Transcript, title: str = "", whole: bool = False) -> RenderableType:
    """The conversation from its task to its checks. whole: tools' answers are not cut."""
    return Group(Rule(title, align="left"), *_parts(transcript, whole))


def first_difference(one: Transcript, other: Transcript) -> int | None:
    """The place of the first message that is not the same in both; None if all are."""
    for place, (a, b) in enumerate(zip_longest(one.messages, other.messages)):
        if a is None or b is None or _said(a) != _said(b):
            return place
    return None


def headline(transcript: Transcript) -> Text:
    """Task, outcome and end in one line."""
    if transcript.excluded:
        outcome, style = "excluded", "yellow"
    else:
        outcome, style = ("solved", "green") if transcript.solved else ("failed", "red")
    where = f"trial {transcript.trial}"
    if transcript.rollout is not None:
        where = f"rollout {transcript.rollout}, episode {transcript.sample}"
    end = transcript.end.value + (f" ({transcript.user_end})" if transcript.user_end else "")
    partial = "" if transcript.partial is None else f", partial {transcript.partial:.2f}"
    text = Text.assemble((outcome, style), "  ", (transcript.task_id, "bold"), f"  {where}, {end}")
    return text.append(f"{partial}, {transcript.steps} steps, {transcript.seconds:.1f} s")


def _parts(transcript: Transcript, whole: bool) -> Iterator[RenderableType]:
    yield headline(transcript)
    if transcript.detail:
        yield Text(transcript.detail, style="yellow")
    counted = [f"{COUNTERS.get(name, name)}: {n}" for name, n in transcript.counters.items()]
    if counted:
        yield Text("; ".join(counted), style="yellow")
    yield Text()
    met: dict[int, list[str]] = {}
    for check in transcript.checks:
        if check.message is not None:
            met.setdefault(check.message, []).append(f"{check.kind} {check.name}")
    changed: dict[int, list[str]] = {}
    for change in transcript.changes:
        line = f"{change.side} {change.path}: {_plain(change.before)} → {_plain(change.after)}"
        changed.setdefault(change.message, []).append(line)
    for place, said in enumerate(transcript.messages):
        yield _message(place, said, whole)
        for line in changed.get(place, []):
            yield Text(f"      ~ {line}", style="magenta")
        for line in met.get(place, []):
            yield Text(f"      ✓ {line}", style="bold green")
    yield _checks(transcript)


def _message(place: int, said: Said, whole: bool) -> Text:
    text = Text(f"{place:3} ", style="dim")
    if said.role == "tool":
        content = said.content or ""
        if not whole and len(content) > LONGEST:
            content = f"{content[:LONGEST]} … ({len(content)} characters)"
        style = "red" if said.error else STYLES["tool"]
        return text.append(f"{WHO[said.requestor or 'assistant']}'s {said.name}: {content}", style)
    style = STYLES[said.role]
    text.append(f"{WHO[said.role]}: ", f"bold {style}")
    if said.content:
        text.append(said.content, style)
    for call in said.tool_calls:
        arguments = json.dumps(call["arguments"], ensure_ascii=False)
        text.append(
            f"\n      → {call['name']} {arguments}" if said.content else f"→ {call['name']} "
        )
        text.append("" if said.content else arguments, style)
    return text


def _checks(transcript: Transcript) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    for name in ("check", "", "met", "counts", "message"):
        table.add_column(name)
    for check in transcript.checks:
        name = f"{check.side}: {check.name}" if check.side else check.name
        met = "yes" if check.met else "no"
        if check.held_at_start:
            met += ", from the start"
        elif check.met and check.verified is False:
            met += ", not by our stricter rule"
        style = "" if check.met else "red"
        place = "" if check.message is None else str(check.message)
        required = "reward" if check.required else "partial"
        arguments = json.dumps(check.arguments, ensure_ascii=False) if check.arguments else ""
        table.add_row(name, arguments, met, required, place, style=style)
    return table


def _said(said: Said) -> tuple:
    calls = [(call["name"], call["arguments"]) for call in said.tool_calls]
    return said.role, said.content, calls, said.error


def _plain(value: object) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
