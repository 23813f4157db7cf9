"""How the scripted user says things: which words, which mood, which order, by seed.

What is said is decided elsewhere; here are only the words. The same draw gives the same words, and
the facts of a tool's result are those of `tool_outputs.read`: words in which it would read other
facts are not used.
"""

from __future__ import annotations

import random
import re

from tau2_agent.benchmark import tool_outputs
from tau2_agent.users.scripted import phrasings, result_phrasings
from tau2_agent.users.scripted.scenario import Scenario

PHRASINGS = ("fixed", "train", "held_out")
SMALL_TALK = 0.3  # share of messages with any
TYPING_ERRORS = 0.15  # share of messages with one

_SETS = {"fixed": phrasings.FIXED, "train": phrasings.TRAIN, "held_out": phrasings.HELD_OUT}
_ROWS = tuple((re.compile(pattern), words) for pattern, words in result_phrasings.ROWS)


class Voice:
    """The words of one episode's user.

    phrasing: one of `PHRASINGS`. draw: decides the words of the other two; the same draw, the same
    words for the n-th thing of a kind. Raises ValueError for an unknown phrasing.
    """

    def __init__(self, scenario: Scenario, phrasing: str = "fixed", draw: str = "") -> None:
        if phrasing not in PHRASINGS:
            raise ValueError(
                f"phrasing {phrasing!r} does not exist; choose one of: {', '.join(PHRASINGS)}"
            )
        self.scenario = scenario
        self.phrasing = phrasing
        self._draw = f"{phrasing}/{draw}"
        self._counts: dict[str, int] = {}
        moods = ["uneasy"] if scenario.persona.fears_reboot else ["terse", "chatty", "impatient"]
        self.mood = "" if phrasing == "fixed" else self._random("mood").choice(moods)

    def opening(self) -> str:
        """The first message: why the user calls."""
        told = self.scenario
        if self.phrasing == "fixed":
            return told.persona.opening + told.opening
        return self.dressed(self.reason())

    def reason(self) -> str:
        """Why the user calls, without small talk."""
        told = self.scenario
        if self.phrasing == "fixed":
            return told.opening
        return self.say(told.issue, since=told.since or "a while")

    def say(self, kind: str, **facts: str) -> str:
        """A sentence of `phrasings`, with its facts."""
        sentences = _SETS[self.phrasing][kind]
        chosen = sentences[0] if len(sentences) == 1 else self._random(kind).choice(sentences)
        return chosen.format(**facts)

    def result(self, text: str, did: bool) -> str:
        """The result of a tool, after a look or (`did`) after something was done."""
        persona = self.scenario.persona
        if self.phrasing == "fixed":
            return f"{persona.did if did else persona.looked}{text}"
        before = (phrasings.DID if did else phrasings.LOOKED)[self.phrasing]
        told = self._random("before").choice(before) + self._reworded(text)
        return told if tool_outputs.read(told) == tool_outputs.read(text) else text

    def ordered(self, answers: list[str]) -> list[str]:
        """Answers about the user, in some order."""
        if self.phrasing != "fixed":
            self._random("order").shuffle(answers)
        return answers

    def dressed(self, text: str) -> str:
        """A whole message with small talk and typing errors; facts stay as they are."""
        if self.phrasing == "fixed":
            return text
        draw = self._random("dress")
        before, after = phrasings.MOODS[self.phrasing][self.mood]
        if before and draw.random() < SMALL_TALK:
            added = draw.choice(before) + text if draw.random() < 0.5 else text + draw.choice(after)
            text = added if tool_outputs.read(added) == tool_outputs.read(text) else text
        if draw.random() < TYPING_ERRORS:
            text = self._mistyped(text, draw)
        if self.mood == "terse" and "\n" not in text:
            text = text[0].lower() + text[1:].removesuffix(".")
        return text

    def _reworded(self, text: str) -> str:
        draw = self._random("rows")
        rows = [self._row(row, draw) for row in text.split("\n")]
        draw.shuffle(rows)
        return "\n".join(row for row in rows if row)

    def _row(self, row: str, draw: random.Random) -> str:
        for pattern, words in _ROWS:
            if found := pattern.fullmatch(row.strip()):
                return draw.choice(words[self.phrasing]).format(*found.groups())
        return row

    def _mistyped(self, text: str, draw: random.Random) -> str:
        errors = phrasings.TYPOS[self.phrasing]
        places = [place for place in re.finditer(r"\b[a-z]+\b", text) if place.group() in errors]
        if not places:
            return text
        place = draw.choice(places)
        typed = text[: place.start()] + errors[place.group()] + text[place.end() :]
        return typed if tool_outputs.read(typed) == tool_outputs.read(text) else text

    def _random(self, kind: str) -> random.Random:
        """Chance of the n-th thing of a kind, whatever else was said before."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return random.Random(f"{self._draw}/{kind}/{self._counts[kind]}")
