"""Loops: an agent that does the same again and has the same come of it.

A turn is a message of the agent with what came of it. Two turns are the same if

- both call the same tools and get the same answers. Arguments count only where a call changed
  something: a look that is told the same is the same look, and so is a call that is refused for the
  same reason;
- or both say the same words, the user then did the same with the same results, and, if he did
  nothing, said nothing that he had not said before. Simulators word an answer in many ways: what
  counts is whether it has a new word.

A loop is a cycle of such turns, of any length, that is gone through twice or more without a break.
A check that is made again after something was done is none: between the two stands another turn, or
the user's phone answers something else. Text beside a call does not count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Any

from tau2.data_model.message import Message, MultiToolMessage, ToolCall, ToolMessage

from tau2_agent.benchmark.environment import writing_tools


class Repeats:
    """Sees an episode grow and counts its loops.

    Attributes: `times`, how often in a row the cycle that ends with the last turn was gone through,
    1 outside of loops; `period`, the turns of that cycle; `longest`, the highest `times` so far.
    """

    def __init__(self, messages: Sequence[Message] = ()) -> None:
        self.times, self.period, self.longest = 1, 1, 1
        self._keys: list[Any] = []
        self._heard: set[str] = set()  # the user's words
        self._same: dict[int, int] = {}  # period -> turns in a row that equal the one before it
        self._in_loop: set[int] = set()  # places of turns
        self._seen = 0
        self.see(messages)

    @property
    def repeated(self) -> int:
        """Turns of loops, without each cycle's first time."""
        return len(self._in_loop)

    def see(self, messages: Sequence[Message]) -> None:
        """Take in what is new since the last time. The last turn must be over, with its answers."""
        start = self._seen or 1  # the first message is the greeting, which no agent chose
        places = [i for i in range(start, len(messages)) if messages[i].role == "assistant"]
        ends = [*places, len(messages)]
        self._listen(messages[start : ends[0]])
        for place, end in pairwise(ends):
            self._take(messages[place], list(_flat(messages[place + 1 : end])))
        self._seen = len(messages)

    def _take(self, said: Message, came: list[Message]) -> None:
        new, did = self._listen(came), _actions(came)
        if said.tool_calls:
            calls = {_call(*pair) for pair in _pairs(said.tool_calls, came, "assistant")}
            key, new = (tuple(sorted(calls)), did), False
        else:
            key, new = (_words(said.content), did), new and not did
        place, self.times, self.period = len(self._keys), 1, 1
        for period in range(1, place + 1):
            same = not new and self._keys[place - period] == key
            run = self._same[period] = self._same.get(period, 0) + 1 if same else 0
            if run >= period:  # a whole cycle is there again, with this turn or before it
                self._in_loop.update(range(place - run + 1, place + 1))
                if 1 + run // period > self.times:
                    self.times, self.period = 1 + run // period, period
        self._keys.append(key)
        self.longest = max(self.longest, self.times)

    def _listen(self, came: Iterable[Message]) -> bool:
        """Whether the user said a word that he had not said before."""
        words = {word for m in came if m.role == "user" for word in _words(m.content)}
        new = not words <= self._heard
        self._heard |= words
        return new


def _call(call: ToolCall, answer: ToolMessage | None) -> tuple[str, ...]:
    if answer is None:
        return call.name, "no answer"
    content = answer.content or ""
    if answer.error:  # refusals often name what they refuse
        told = map(str, [*call.arguments.values(), *call.arguments])
        for text in sorted(filter(None, told), key=len, reverse=True):
            content = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "…", content)
        return call.name, content
    if call.name in writing_tools():
        return call.name, content, _dumped(call.arguments)
    return call.name, content


def _actions(came: list[Message]) -> tuple[tuple[str, ...], ...]:
    """What the user did, call by call, and what his phone answered."""
    calls = [call for m in came if m.role == "user" for call in m.tool_calls or ()]
    return tuple(
        (call.name, _dumped(call.arguments), (answer and answer.content) or "")
        for call, answer in _pairs(calls, came, "user")
    )


def _pairs(calls: list[ToolCall], came: list[Message], side: str) -> Iterable[tuple[ToolCall, Any]]:
    """A side's calls with their answers by position: ids may repeat, since models write them."""
    answers = [m for m in came if m.role == "tool" and m.requestor == side]
    return zip(calls, [*answers, *[None] * len(calls)], strict=False)


def _words(text: str | None) -> tuple[str, ...]:
    """Words without case, punctuation, and without one that is said over and over."""
    text = (text or "").casefold()
    return tuple(word for word, _ in groupby(re.findall(r"\w+", text))) or (text.strip(),)


def _dumped(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True)


def _flat(messages: Iterable[Message]) -> Iterable[Message]:
    for message in messages:
        yield from message.tool_messages if type(message) is MultiToolMessage else [message]
