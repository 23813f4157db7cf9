"""What must be the case before a request holds: "if your SIM card is missing, ..."."""

from __future__ import annotations

import re
from typing import Any

from tau2_agent.users.scripted import grammar
from tau2_agent.users.scripted.lexicon import TOGGLES
from tau2_agent.users.scripted.request import CONTEXT, FACTS
from tau2_agent.users.scripted.things import state, things_in

Guard = tuple[str, Any]  # a fact of `handset.read` (or "abroad", "context") and its value


def guard_of(text: str, context: str) -> Guard | None:
    """The fact behind a condition; None when it is about an outcome that nobody knows yet.

    `context` is the topic that "it" means. ("context", value) stands for "if it is".
    """
    denied = bool(re.search(r"\b(?:not|no|isn't|aren't|doesn't|don't|without|lacks?)\b", text))
    topics = [thing.topic for thing in things_in(text) if thing.topic not in ("phone", "data")]
    if not topics and context == "sim":
        topics = ["sim"]
    for topic in topics:
        if guard := _about(topic, text, denied):
            return guard
    if re.search(r"\babroad\b|\btravel|\boutside\b", text):
        return ("abroad", not denied)
    if not topics and grammar.SHORT_CONDITION.match(text):
        seen = state(text)
        return (CONTEXT, seen if seen is not None else not denied)
    return None


def _about(topic: str, text: str, denied: bool) -> Guard | None:
    if topic in TOGGLES or topic == "vpn":
        seen = state(text)
        if seen is None and re.search(r"\bsee|\bicon|\bshows|\busing|\bpoor|\bslow", text):
            seen = not denied
        return None if seen is None else (FACTS.get(topic, topic), seen)
    if topic == "sim":
        for words, value in grammar.SIM_STATES:
            if words.search(text):
                return ("sim", value)
    if topic == "apn":
        bad = re.search(r"incorrect|wrong|broken|not set|missing|empty|not correct|isn't set", text)
        return ("apn_ok", not bad)
    if topic in ("network_mode", "network_type"):
        return ("old_mode", bool(re.search(r"\b[23]g", text)) != denied)
    if topic == "status_bar" and not grammar.OUTCOME.search(text):
        return ("signal", not denied)
    return None
