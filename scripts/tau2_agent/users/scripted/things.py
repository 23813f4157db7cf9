"""Things on the phone that a text names, and the position, mode or app that it names with them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from tau2_agent.users.scripted import grammar
from tau2_agent.users.scripted.lexicon import APPS, CHECKS, MODES, TOPICS

_TOPIC_WORDS = {name: re.compile(rf"\b(?:{words})\b") for name, words in TOPICS.items()}


class Thing(NamedTuple):
    """A thing named in a text. `explicit`: the text asks for its own status or settings."""

    topic: str
    start: int
    end: int
    explicit: bool


@lru_cache(maxsize=8192)
def things_in(text: str) -> tuple[Thing, ...]:
    """Things on the phone that a text names, in order."""
    found: list[Thing] = []
    for topic, words in _TOPIC_WORDS.items():
        for match in words.finditer(text):
            start, end = match.span()
            if all(end <= other.start or start >= other.end for other in found):
                explicit = bool(re.match(r"\W+(?:mode )?(?:status|settings?)\b", text[end:]))
                found.append(Thing(topic, start, end, explicit))
    return tuple(sorted(found, key=lambda thing: thing.start))


@lru_cache(maxsize=8192)
def marked(text: str) -> str:
    """The text with "T_vpn" for a VPN, and "T_call" or "T_look" for a call of a tool."""
    text = grammar.TOOL.sub(_tool_mark, re.sub(r"(?<=\w)\([^()]*\)", "", text))
    for thing in reversed(things_in(text)):
        text = f"{text[: thing.start]}T_{thing.topic}{text[thing.end :]}"
    return re.sub(r"(?<=T_phone)'s\b", "", text)


def _tool_mark(tool: re.Match[str]) -> str:
    return "T_look" if tool.group() in CHECKS.values() else "T_call"


def governed(text: str, context: str) -> list[str]:
    """Topics of the object of a verb; "it", or nothing at all, is the context."""
    topics = list(dict.fromkeys(thing.topic for thing in things_in(text)))
    for vague in ("data", "phone"):  # "mobile data on your phone" is not about the phone
        topics = [topic for topic in topics if topic != vague] or topics
    return topics or ([context] if context else [])


def before(text: str, tail: re.Pattern[str], start: int = 0) -> str:
    """The text up to a purpose, a place or a means: where the object of a verb ends."""
    end = tail.search(text, start)
    return text[: end.start()] if end else text


def state(text: str) -> bool | None:
    """The position that a text describes: "is enabled" is True, "is not on" False."""
    denied = bool(re.search(r"\b(?:not|isn't|aren't|no longer)\b", text))
    if grammar.OFF_STATE.search(text):
        return denied
    if grammar.ON_STATE.search(text) or re.search(r"\benable|\bactivate|\bin (?:air|fli)", text):
        return not denied
    return False if re.search(r"\b(?:disable|deactivate)\b", text) else None


def mode(text: str) -> str | None:
    """The network mode that a text asks for, in the tool's own word."""
    target = re.split(r"\b(?:to|from \dg)\b", text)[-1]
    for words in (target, text):
        for pattern, name in MODES:
            if re.search(pattern, words):
                return name
    return None


def app(text: str, otherwise: str = "messaging") -> str:
    """The app that a text is about; the messaging app unless it names another."""
    return next((name for name, words in APPS.items() if re.search(words, text)), otherwise)
